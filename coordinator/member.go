package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/arc-ring/arc/coordinator/transport"
	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

const (
	// probesMax bounds the leader's own probes under way.
	probesMax = 64
	// lonelyAfter is how long a restarted member waits for anybody's message
	// before it asks around whether the ring went on without it, and how long
	// a joiner does before it says that nobody reaches it.
	lonelyAfter = 3 * time.Second
)

// membership is this node's life under one id: from the entry to the removal
// or the process's end.
type membership struct {
	n    *node
	l    *loop
	wg   sync.WaitGroup
	ctx  context.Context // ends with the membership
	slot chan struct{}   // one token for each probe under way
}

// live runs the membership until this node was removed (the error wraps
// election.ErrRemoved), the disk failed (ErrStorage), or it has to stop (nil,
// after an orderly leave if there was time).
func (n *node) live(ctx context.Context, e entry) error {
	core, err := election.New(election.Config{
		ID: e.id, Incarnation: n.incarnation, Addresses: n.addresses, Rand: randomID,
		Wall:       func() int64 { return time.Now().UnixMicro() },
		RaftLogger: raftLog{n.log.Named("raft")},
		Trace:      n.trace(),
	}, e.recovered, n.clock())
	if err != nil {
		return fmt.Errorf("start member %d with what %s holds: %w; move the directory away and start again, the node then joins anew", e.id, n.o.DataDir, err)
	}
	l := newLoop(loopConfig{log: n.log, clock: n.clock, core: core, store: n.disk, hub: n.hub, maker: n.maker, id: e.id, ringID: e.ringID,
		replayed: e.recovered.HardState.GetCommit()})
	lifetime, cancel := context.WithCancel(context.Background())
	m := &membership{n: n, l: l, ctx: lifetime, slot: make(chan struct{}, probesMax)}
	l.hands = hands{
		send:         n.transport.Send,
		probe:        m.probe,
		relink:       m.relink,
		ringChanged:  n.ringChanged,
		peersChanged: func(peers []ring.Member) { n.transport.SetPeers(peersOf(peers)) },
		published:    n.discoveryDue,
		suspected:    n.peerSuspected,
	}
	// In this order: the first message may come in as soon as peers know who
	// this is, and then finds the inbox.
	l.begin()
	n.loop.Store(l)
	n.become(e)
	if s := core.State(); s.RingID != "" {
		n.ringChanged(s)
		n.transport.SetPeers(peersOf(s.Members))
	}
	n.log.Info("member of the ring", "node", n.o.Name, "id", e.id, "ring", e.ringID, "restarted", e.recovered.Restarted)
	m.wg.Go(func() { _ = l.run() })
	m.wg.Go(func() { m.lonely(e) })

	var outcome error
	select {
	case <-l.ended:
	case <-n.stopping.Done():
	case <-ctx.Done():
		outcome = n.leaveInTime()
	}
	l.stop()
	<-l.ended
	n.loop.Store(nil)
	n.unclaim()
	cancel()
	m.wg.Wait()
	switch {
	case l.endErr != nil:
		return l.endErr
	case outcome != nil:
		return outcome
	}
	return context.Cause(n.stopping)
}

// unclaim takes the claim out of the view when the event loop has ended: the
// lease may live on, but nobody minds it any more.
func (n *node) unclaim() {
	v := *n.hub.views.load()
	v.phase, v.claimTerm, v.claimEnd = leaving, 0, 0
	v.status.Reason = "this coordinator is stopping"
	n.hub.publish(&v, nil)
}

func (n *node) trace() func(string, ...any) {
	log := n.log.Named("election")
	return func(format string, args ...any) {
		if log.IsDebug() {
			log.Debug("decided", "reason", fmt.Sprintf(format, args...))
		}
	}
}

// relink tells the monitor whom to probe.
func (m *membership) relink(r election.Relink, s *ring.State) (from, to string) {
	self, _ := s.Member(m.l.id)
	self.Incarnation = m.n.incarnation // the ring may not know of the restart yet
	return m.n.monitor.setLink(linkToWire(r, s.RingID, m.n.o.Cluster, self))
}

// probe tries a member on a goroutine of its own. One above the limit counts
// as answered: the member's monitor says it again, and a late eviction is
// better than a wrong one.
func (m *membership) probe(p election.Probe) {
	result := election.ProbeResult{ID: p.ID, Incarnation: p.Incarnation}
	select {
	case m.slot <- struct{}{}:
	default:
		m.n.log.Warn("too many probes under way, one is left out", "id", p.ID)
		result.Outcome, result.AnsweredBy, result.AnsweredAs = election.Answered, p.Incarnation, p.ID
		m.l.probed(result)
		return
	}
	m.wg.Go(func() {
		defer func() { <-m.slot }()
		outcome, pong := probeMember(m.ctx, m.n.o.Name, p.Addresses, p.Timeout)
		result.Outcome, result.AnsweredBy, result.AnsweredAs = outcome, pong.GetIncarnation(), pong.GetId()
		m.l.probed(result)
	})
}

// peerSuspected keeps the peer streams from redialling who is thought dead.
func (n *node) peerSuspected(id uint64, dead bool) {
	if dead {
		n.transport.Quiet(id)
	} else {
		n.transport.Wake(id)
	}
}

// evicted takes a member's word that this node is none any more.
func (n *node) evicted(e election.EvictedNotice) {
	l := n.loop.Load()
	if l == nil || e.ID != l.id {
		return
	}
	l.inbox.must(func(now election.Instant) {
		// Whose word it was is of no matter to the core, but nobody's is none.
		l.core.Receive(now, election.Message{From: math.MaxUint64, To: l.id, Evicted: &e})
	})
}

// lonely asks around when a restarted member hears nobody: the others may have
// moved, or gone on without it.
func (m *membership) lonely(e entry) {
	n := m.n
	warned := false
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-time.After(lonelyAfter):
		}
		v := n.hub.views.load()
		if m.l.heardPeer.Load() != 0 || v.ring.RingID != "" && len(v.ring.Members) <= 1 {
			return
		}
		if !warned {
			warned = true
			n.log.Warn("no member of the ring is heard", "ring", e.ringID, "addresses", n.addresses,
				"hint", "are the others running, and do they reach these addresses?")
		}
		if e.recovered.Restarted {
			m.askAround(v)
		}
	}
}

// askAround asks everybody that may belong to the ring for its state.
func (m *membership) askAround(v *view) {
	n := m.n
	for _, addresses := range n.candidates(v.ring) {
		if m.ctx.Err() != nil {
			return
		}
		st, err := statusOf(m.ctx, addresses)
		switch {
		case err != nil:
			n.log.Debug("status not had", "from", addresses, "error", err)
		case st.GetRingId() != v.ringID || st.GetEpoch() < v.ring.Epoch:
		case !listed(st, m.l.id):
			n.evicted(election.EvictedNotice{RingID: v.ringID, ID: m.l.id, Epoch: st.GetEpoch()})
			return
		default:
			n.transport.SetPeers(peersOfStatus(st))
			return
		}
	}
}

// candidates are the addresses, by machine, at which a member of this node's
// ring may answer.
func (n *node) candidates(s *ring.State) [][]string {
	var out [][]string
	for _, a := range n.o.Join {
		out = append(out, []string{a})
	}
	if n.discovery != nil {
		for _, h := range n.discovery.Heard() {
			if h.RingID != "" {
				out = append(out, h.Node.Addresses)
			}
		}
	}
	for _, m := range s.Members {
		if m.Name != n.o.Name {
			out = append(out, m.Addresses)
		}
	}
	return out
}

func statusOf(ctx context.Context, addresses []string) (*arcv1.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	conn, err := dialMember(ctx, addresses)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return arcv1.NewArcClient(conn).Status(ctx, &arcv1.StatusRequest{})
}

func listed(st *arcv1.StatusResponse, id uint64) bool {
	for _, m := range st.GetMembers() {
		if m.GetId() == id {
			return true
		}
	}
	return false
}

func peersOfStatus(st *arcv1.StatusResponse) []transport.Peer { return peersOfMembers(st.GetMembers()) }

func peersOfMembers(members []*arcv1.MemberStatus) []transport.Peer {
	out := make([]transport.Peer, len(members))
	for i, m := range members {
		out[i] = transport.Peer{ID: m.GetId(), Name: m.GetName(), Incarnation: m.GetIncarnation(), Addresses: m.GetAddresses()}
	}
	return out
}

// removed tells whether a membership ended because the ring went on without
// this node.
func removed(err error) bool { return errors.Is(err, election.ErrRemoved) }
