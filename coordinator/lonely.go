package coordinator

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/arc-ring/arc/coordinator/transport"
	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

const (
	// lonelyAfter is how long a member that just started, or just joined, waits
	// for anybody's message before it says that nobody reaches it, and asks
	// around whether the others moved, or went on without it.
	lonelyAfter = 3 * time.Second
	// asksAtOnce bounds the members that are asked at the same time.
	asksAtOnce = 8
)

// lonely watches over a start until the first message comes in, and over a
// joiner's until it has the ring: it may be evicted before, and who has no ring
// yet has nobody to tell, so nobody would answer that it is out.
func (m *membership) lonely(e entry) {
	n := m.n
	warned := false
	for wait(m.ctx, lonelyAfter) == nil {
		v := n.hub.views.load()
		heard := m.l.heardPeer.Load() != 0
		if v.ring.RingID != "" && (heard || len(v.ring.Members) <= 1) {
			return
		}
		if !warned && !heard {
			warned = true
			n.log.Warn("no member of the ring is heard", "ring", e.ringID, "addresses", n.addresses,
				"hint", "are the others running, and do they reach these addresses? --join HOST:PORT names one that moved")
		}
		m.askAround(v, e)
	}
}

// answer is what somebody said, and where.
type answer struct {
	addresses []string
	status    *arcv1.StatusResponse
}

// askAround asks everybody that may belong to the ring for its state. Who
// knows a newer ring without this node ends the membership, unless raft still
// counts on this node; else the peers are looked for where they answered.
func (m *membership) askAround(v *view, e entry) {
	n := m.n
	moved := map[uint64][]string{}
	for _, a := range m.ask(n.candidates(v.ring, e.peers)) {
		st := a.status
		if st.GetRingId() != v.ringID {
			continue
		}
		newer := st.GetPhase() == string(member) && st.GetEpoch() >= max(v.ring.Epoch, e.epoch)
		switch in := listed(st, m.l.id); {
		case newer && !in && !slices.Contains(st.GetVoters(), m.l.id):
			n.evicted(election.EvictedNotice{RingID: v.ringID, ID: m.l.id, Epoch: st.GetEpoch()})
			return
		case newer && in && v.ring.RingID == "" && m.l.heardPeer.Load() == 0:
			// It knows the members of now, and this joiner those of then.
			n.transport.SetPeers(peersOfMembers(st.GetMembers()))
			return
		}
		if was, ok := v.ring.Member(st.GetSelfId()); ok && !overlap(was.Addresses, a.addresses) {
			n.log.Info("a member answers at another address", "peer", was.Name, "from", was.Addresses, "to", a.addresses)
			moved[was.ID] = a.addresses
		}
	}
	if len(moved) > 0 && m.l.heardPeer.Load() == 0 {
		n.transport.SetPeers(peersAt(v.ring.Members, moved))
	}
}

// ask asks for the status at each of the places.
func (m *membership) ask(places [][]string) []answer {
	var mu sync.Mutex
	var answers []answer
	var wg sync.WaitGroup
	slots := make(chan struct{}, asksAtOnce)
	for _, addresses := range places {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			st, err := m.n.statusOf(m.ctx, addresses)
			if err != nil {
				m.n.log.Debug("status not had", "from", addresses, "error", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, answer{addresses, st})
		})
	}
	wg.Wait()
	return answers
}

// candidates are the addresses, by machine, at which a member of this node's
// ring may answer; peers are those whom it was to expect when it joined.
func (n *node) candidates(s *ring.State, peers []transport.Peer) [][]string {
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
	if s.RingID == "" {
		for _, p := range peers {
			if p.Name != n.o.Name {
				out = append(out, p.Addresses)
			}
		}
	}
	return out
}

func (n *node) statusOf(ctx context.Context, addresses []string) (*arcv1.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	conn, err := n.dialAny(ctx, addresses)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return arcv1.NewArcClient(conn).Status(ctx, &arcv1.StatusRequest{})
}

func listed(st *arcv1.StatusResponse, id uint64) bool {
	return slices.ContainsFunc(st.GetMembers(), func(m *arcv1.MemberStatus) bool { return m.GetId() == id })
}

// peersAt are the members, some of them at other addresses.
func peersAt(members []ring.Member, moved map[uint64][]string) []transport.Peer {
	out := peersOf(members)
	for i := range out {
		if a, ok := moved[out[i].ID]; ok {
			out[i].Addresses = a
		}
	}
	return out
}

func peersOfMembers(members []*arcv1.MemberStatus) []transport.Peer {
	out := make([]transport.Peer, len(members))
	for i, m := range members {
		out[i] = transport.Peer{
			ID: m.GetId(), Name: m.GetName(), Incarnation: m.GetIncarnation(), Addresses: m.GetAddresses(),
			// A ring is founded by many at once: if each dialled each, none
			// would have the time to answer.
			Distant: !m.GetVoter(),
		}
	}
	return out
}
