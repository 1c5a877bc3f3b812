package coordinator

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/transport"
	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

const (
	// asksAtOnce bounds the members that are asked at the same time.
	asksAtOnce = 8
	// placesMax bounds the places learned from answers.
	placesMax = 256
	// unheardPatience is how long the others have to be heard, from this member's
	// start, before it warns that none is.
	unheardPatience = 3 * time.Second
)

// inquirer finds out for the core what others say of this member, and mends the
// peers' addresses by the way.
type inquirer struct {
	m *membership
	e entry
	// busy holds a token while a round is under way.
	busy chan struct{}
	// The rest belongs to the round. learned are places of members that this
	// node does not know, or knows elsewhere.
	learned [][]string
	began   election.Instant
	warned  bool
}

func newInquirer(m *membership, e entry) *inquirer {
	return &inquirer{m: m, e: e, began: m.n.clock(), busy: make(chan struct{}, 1)}
}

// start begins a round unless one is under way; the loop calls it.
func (q *inquirer) start() {
	select {
	case q.busy <- struct{}{}:
	default:
		return
	}
	q.m.wg.Go(func() {
		defer func() { <-q.busy }()
		q.round()
	})
}

// answer is what somebody said, and where.
type answer struct {
	addresses []string
	said      *arcv1.StandingResponse
}

func (q *inquirer) round() {
	n, l := q.m.n, q.m.l
	v := n.hub.Load()
	heard := l.Heard()
	moved := map[uint64][]string{}
	answered, joined := false, false
	for _, a := range q.ask(append(n.candidates(v.Ring, q.e.peers), q.learned...)) {
		r := a.said
		if r.GetRingId() != v.RingID || r.GetSelfId() == 0 {
			continue
		}
		answered = true
		for _, m := range r.GetMembers() {
			if was, _ := v.Ring.Member(m.GetId()); m.GetId() != q.e.id && !overlap(was.Addresses, m.GetAddresses()) {
				q.learn(m.GetAddresses())
			}
		}
		if r.GetMember() && v.Ring.RingID == "" && !heard && !joined {
			// It knows the members of now, and this joiner those of then.
			joined = true
			n.transport.SetPeers(peersOfMembers(r.GetMembers()))
		}
		if was, ok := v.Ring.Member(r.GetSelfId()); ok && !overlap(was.Addresses, a.addresses) {
			n.log.Info("a member answers at another address", "peer", was.Name, "from", was.Addresses, "to", a.addresses)
			moved[was.ID] = a.addresses
		}
	}
	if len(moved) > 0 && !l.Heard() {
		n.transport.SetPeers(peersAt(v.Ring.Members, moved))
	}
	if q.unheard(n.clock(), answered || l.Heard()) {
		n.log.Warn("no member of the ring is heard", "ring", q.e.ringID, "addresses", n.reachedAt(),
			"hint", "are the others running, and do they reach these addresses? --join HOST:PORT names one that moved")
	}
}

// unheard reports once that nobody was heard for as long as the others had a fair
// chance.
func (q *inquirer) unheard(now election.Instant, heard bool) bool {
	if q.warned || heard || now.Sub(q.began) < unheardPatience {
		return false
	}
	q.warned = true
	return true
}

func (q *inquirer) learn(addresses []string) {
	if len(q.learned) < placesMax && !slices.ContainsFunc(q.learned, func(p []string) bool { return slices.Equal(p, addresses) }) {
		q.learned = append(q.learned, addresses)
	}
}

// ask asks at each address of the places, since some may lead to somebody else,
// and hands every answer to the core as soon as it is there.
func (q *inquirer) ask(places [][]string) []answer {
	n, l := q.m.n, q.m.l
	var mu sync.Mutex
	var answers []answer
	var wg sync.WaitGroup
	slots := make(chan struct{}, asksAtOnce)
	for _, address := range slices.Concat(places...) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			addresses := []string{address}
			r, err := n.standingAt(q.m.ctx, addresses, &arcv1.StandingRequest{Cluster: n.o.Cluster, RingId: q.e.ringID, Id: q.e.id})
			if err != nil {
				n.log.Debug("a member does not say whether this node is one", "from", address, "error", err)
				return
			}
			if r.GetCluster() == n.o.Cluster && r.GetRingId() == q.e.ringID {
				l.Answered(standingFromWire(r))
			}
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, answer{addresses, r})
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

func (n *node) standingAt(ctx context.Context, addresses []string, r *arcv1.StandingRequest) (*arcv1.StandingResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	conn, err := n.dialAny(ctx, addresses)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return arcv1.NewPeerClient(conn).Standing(ctx, r)
}

func standingFromWire(r *arcv1.StandingResponse) election.Standing {
	return election.Standing{
		RingID: r.GetRingId(), From: r.GetSelfId(), Epoch: r.GetEpoch(), Member: r.GetMember(), Out: r.GetOut(), Needed: r.GetNeeded(),
		InTouch: r.GetInTouch(), Voters: r.GetVoters(), Leader: r.GetLeaderId(), LeaderIncarnation: r.GetLeaderIncarnation(),
		LeaderAddresses: r.GetLeaderAddresses(), Incarnation: r.GetIncarnation(), Addresses: r.GetAddresses(),
	}
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

// overlap reports whether two lists have an address in common.
func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}
