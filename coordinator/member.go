package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/raft/v3"

	"github.com/arc-ring/arc/coordinator/internal/loop"
	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/supervise"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/internal/monotime"
	"github.com/arc-ring/arc/ring"
)

// living is this node's life under one id: from the entry to the removal
// or the process's end.
type living struct {
	n  *node
	l  *loop.Loop
	e  entry
	wg sync.WaitGroup
	// holds: the ring's state with this node in it has come in. The loop's own.
	holds bool
	slot  chan struct{} // one token for each probe under way
	// inquiring is true during a round of the inquiry.
	inquiring atomic.Bool
	inquiry   *membership.Inquiry
}

func (n *node) newLiving(e entry) *living {
	return &living{n: n, e: e, slot: make(chan struct{}, limits.Probes), inquiry: membership.NewInquiry(e.ringID, e.id, n.o.Name, n.clock())}
}

// live runs the membership until this node was removed (the error wraps
// election.ErrRemoved), the disk failed (ErrStorage), or it has to stop (nil,
// after an orderly leave if there was time).
func (n *node) live(ctx context.Context, e entry) error {
	at := n.reachedAt()
	core, err := election.New(election.Config{
		ID: e.id, Incarnation: n.incarnation, Unborn: e.unborn, Addresses: at, Former: n.former, Version: n.o.Version, LogVersion: ring.LogVersion, Rand: randomID,
		Wall:       func() int64 { return time.Now().UnixMicro() },
		RaftLogger: raftLog{n.log.Named("raft")},
		Trace:      n.trace(),
	}, e.recovered, n.clock())
	if err != nil {
		return fmt.Errorf("start member %d with what %s holds: %w; if the ring has a leader (ask another member: arc leader), move the directory away and start again, the node then joins as a new member; if it has none, keep the directory and see arc recover --help", e.id, n.o.DataDir, err)
	}
	if e.recovered.Restarted {
		if err := n.heldElsewhere(ctx, e, core.State()); err != nil {
			return err
		}
	}
	timer, err := monotime.NewTimer()
	if err != nil {
		return err
	}
	defer timer.Close() // when the loop has ended
	m := n.newLiving(e)
	l := loop.New(loop.Options{Log: n.log, Clock: n.clock, Alarm: timer, AlarmC: timer.C, Core: core, Store: n.disk, Hub: n.hub, Events: n.events, ID: e.id, RingID: e.ringID, Rejoins: n.rejoins,
		CarryOut: m.carryOut, Target: n.monitor.Target, Published: n.discoveryDue})
	n.rejoins, m.l = true, l
	// In this order: the first message may come in as soon as peers know who
	// this is, and then finds the inbox.
	l.Begin()
	n.loop.Store(l)
	n.become(e)
	if now := n.reachedAt(); !slices.Equal(now, at) {
		l.Readdress(now)
	}
	if s := core.State(); s.RingID != "" {
		n.ringChanged(s)
		n.transport.SetPeers(peersOf(s.Members))
	}
	if n.discovery != nil {
		// Others believe a hello that names their ring, and only then dial this
		// node where it is now.
		n.tellDiscovery()
		n.discovery.Announce()
	}
	n.log.Info("member of the ring", "node", n.o.Name, "id", e.id, "ring", e.ringID, "restarted", e.recovered.Restarted)
	if n.monitor.Why() != "" {
		l.MonitorMissing()
	}
	m.wg.Go(func() { _ = l.Run() })

	var outcome error
	select {
	case <-l.Life().Done():
	case <-n.stopping.Done():
	case <-ctx.Done():
		n.toldToEnd(context.Cause(ctx))
		outcome = n.leaveInTime(context.Cause(ctx))
	}
	l.Stop()
	<-l.Life().Done()
	n.loop.Store(nil)
	n.unclaim()
	m.wg.Wait()
	if held := (*loop.SupersededError)(nil); errors.As(l.Err(), &held) {
		return n.notTheMember(e, held.Superseded)
	}
	switch {
	case l.Err() != nil:
		return l.Err()
	case outcome != nil:
		return outcome
	}
	return context.Cause(n.stopping)
}

// carryOut carries out what the core wants of the rest of this node. The loop calls it
// with every effect that is not its own. It panics if that is unknown.
func (m *living) carryOut(e election.Effect) {
	n := m.n
	switch e := e.(type) {
	case election.Send:
		n.transport.Send(e.Message)
	case election.Probe:
		m.probe(e)
	case election.Relink:
		n.monitor.SetLink(supervise.LinkToWire(e, m.e.ringID, n.o.Cluster), e.Urgent)
	case election.Applied:
		m.ringChanged(e.State)
	case election.PeersChanged:
		n.peersChanged(e.Peers)
	case election.SuspicionChanged: // who is thought dead is not redialled
		switch c := e.Certificate; {
		case c != nil:
			n.transport.Quiet(c.ID)
		case e.Cleared:
			n.transport.Wake(e.Opinion.ID)
		default:
			n.transport.Quiet(e.Opinion.ID)
		}
	case election.Inquire:
		m.inquire()
	case election.ClaimChanged: // the loop has published it
	default:
		panic(fmt.Sprintf("nobody carries out the effect %T", e))
	}
}

// ringChanged follows up on a committed change. Once the ring is known to have
// this member, the log of an earlier membership is of no use any more.
func (m *living) ringChanged(s *ring.State) {
	m.n.ringChanged(s)
	if _, in := s.Member(m.e.id); in && !m.holds {
		m.holds = true
		m.wg.Go(m.n.dropFormerLogs)
	}
}

// unclaim takes the claim out of the view when the event loop has ended: the
// lease may live on, but nobody minds it any more.
func (n *node) unclaim() {
	v := *n.hub.Load()
	v.Phase, v.ClaimTerm, v.ClaimEnd = publish.Leaving, 0, 0
	v.LeaderEnd = 0
	v.Status.Reason = "this coordinator is stopping"
	n.hub.Publish(&v, nil)
}

func (n *node) trace() func(string, string, ...any) {
	log := n.log.Named("election")
	return func(rule, format string, args ...any) {
		if log.IsDebug() {
			log.Debug("decided", "rule", rule, "reason", fmt.Sprintf(format, args...))
		}
	}
}

// probe tries a member on a goroutine of its own. One above the limit counts
// as answered: the member's monitor says it again, and a late eviction is
// better than a wrong one.
func (m *living) probe(p election.Probe) {
	select {
	case m.slot <- struct{}{}:
	default:
		m.n.log.Warn("too many probes under way, one is left out", "id", p.ID)
		if p.Recorded {
			return // the core asks again
		}
		m.l.Probed(election.ProbeResult{Of: p, Outcome: election.Answered, AnsweredBy: p.Incarnation, AnsweredAs: p.ID})
		return
	}
	// The ring may know an older address than the peer streams do.
	addresses := slices.Clone(p.Addresses)
	for _, a := range m.n.transport.Addresses(p.ID) {
		if !p.Recorded && !slices.Contains(addresses, a) {
			addresses = append(addresses, a)
		}
	}
	m.wg.Go(func() {
		defer func() { <-m.slot }()
		m.l.Probed(p.Result(m.n.look(m.l.Life(), p.Wanted, addresses, p.Timeout)))
	})
}

// raftLog gives raft's printf logger a place in ours. What raft calls Info is
// news only to somebody who reads raft, so it comes at Debug; election tells
// the same in ARC's words. Panic must panic: raft relies on it to stop at a
// broken invariant. Raft writes ids in hexadecimal, and nothing else; here they are
// decimal as everywhere in ARC, but for the peers that it lists at its start.
type raftLog struct{ log hclog.Logger }

// raftText is what raft says, with its ids in decimal.
func raftText(format string, v []any) string {
	return fmt.Sprintf(strings.ReplaceAll(format, "%x", "%d"), v...)
}

var _ raft.Logger = raftLog{}

func (l raftLog) Debug(v ...any)              { l.log.Trace("raft says", "text", fmt.Sprint(v...)) }
func (l raftLog) Info(v ...any)               { l.log.Debug("raft says", "text", fmt.Sprint(v...)) }
func (l raftLog) Warning(v ...any)            { l.log.Warn("raft says", "text", fmt.Sprint(v...)) }
func (l raftLog) Error(v ...any)              { l.log.Error("raft says", "text", fmt.Sprint(v...)) }
func (l raftLog) Fatal(v ...any)              { l.Panic(v...) }
func (l raftLog) Fatalf(f string, v ...any)   { l.Panicf(f, v...) }
func (l raftLog) Warningf(f string, v ...any) { l.Warning(raftText(f, v)) }
func (l raftLog) Errorf(f string, v ...any)   { l.Error(raftText(f, v)) }

// The level is asked first: at rest raft formats several of these a second.
func (l raftLog) Debugf(f string, v ...any) {
	if l.log.IsTrace() {
		l.Debug(raftText(f, v))
	}
}

func (l raftLog) Infof(f string, v ...any) {
	if l.log.IsDebug() {
		l.Info(raftText(f, v))
	}
}

func (l raftLog) Panic(v ...any) {
	text := fmt.Sprint(v...)
	l.log.Error("raft panics", "text", text)
	panic(text)
}

func (l raftLog) Panicf(f string, v ...any) { l.Panic(raftText(f, v)) }
