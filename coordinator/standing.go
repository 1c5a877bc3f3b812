package coordinator

import (
	"context"
	"slices"
	"sync"

	"github.com/arc-ring/arc/coordinator/internal/transport"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/membership"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// inquirer finds out for the core what others say of this member, and mends the
// peers' addresses by the way.
type inquirer struct {
	m *living
	e entry
	// busy holds a token while a round is under way.
	busy chan struct{}
	// rules belong to the round.
	rules *membership.Inquiry
}

func newInquirer(m *living, e entry) *inquirer {
	return &inquirer{m: m, e: e, busy: make(chan struct{}, 1), rules: membership.NewInquiry(e.ringID, e.id, m.n.o.Name, m.n.clock())}
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

func (q *inquirer) round() {
	n, l := q.m.n, q.m.l
	v, heard := n.hub.Load(), l.Heard()
	said := map[string]*peerv1.StandingResponse{} // by address
	var answers []membership.Answer
	for _, a := range q.ask(q.rules.Places(n.known(v.Ring, q.e.peers))) {
		said[a.address] = a.said
		answers = append(answers, membership.Answer{At: []string{a.address}, RingID: a.said.GetRingId(), From: a.said.GetSelfId(),
			Member: a.said.GetMember(), Members: membersFromWire(a.said.GetMembers())})
	}
	found := q.rules.Judge(v.Ring, heard, answers)
	if a := found.Newer; a != nil {
		n.transport.SetPeers(peersOfMembers(said[a.At[0]].GetMembers()))
	}
	for _, m := range found.Moved {
		was, _ := v.Ring.Member(m.ID)
		n.log.Info("a member answers at another address", "peer", m.Name, "from", was.Addresses, "to", m.Addresses)
	}
	if len(found.Moved) > 0 && !l.Heard() {
		n.transport.SetPeers(peersAt(v.Ring.Members, found.Moved))
	}
	if q.rules.Unheard(n.clock(), found.Answered || l.Heard()) {
		n.log.Warn("no member of the ring is heard", "ring", q.e.ringID, "addresses", n.reachedAt(),
			"hint", "are the others running, and do they reach these addresses? --join HOST:PORT names one that moved")
	}
}

// answer is what somebody said, and where.
type answer struct {
	address string
	said    *peerv1.StandingResponse
}

// ask asks at each address of the places, since some may lead to somebody else,
// and hands every answer to the core as soon as it is there.
func (q *inquirer) ask(places [][]string) []answer {
	n, l := q.m.n, q.m.l
	var mu sync.Mutex
	var answers []answer
	var wg sync.WaitGroup
	slots := make(chan struct{}, limits.Questions)
	for _, address := range slices.Concat(places...) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r, err := n.standingAt(q.m.ctx, []string{address}, &peerv1.StandingRequest{Cluster: n.o.Cluster, RingId: q.e.ringID, Id: q.e.id})
			if err != nil {
				n.log.Debug("a member does not say whether this node is one", "from", address, "error", err)
				return
			}
			if r.GetCluster() == n.o.Cluster && r.GetRingId() == q.e.ringID {
				l.Answered(standingFromWire(r))
			}
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, answer{address, r})
		})
	}
	wg.Wait()
	return answers
}

// known is what this node knows of places of its ring's members; peers are those
// whom it was to expect when it joined.
func (n *node) known(s *ring.State, peers []transport.Peer) membership.Known {
	k := membership.Known{Named: n.o.Join, Ring: s}
	if n.discovery != nil {
		for _, h := range n.discovery.Heard() {
			if h.RingID != "" {
				k.Heard = append(k.Heard, h.Node.Addresses)
			}
		}
	}
	for _, p := range peers {
		k.Expected = append(k.Expected, ring.Member{ID: p.ID, Name: p.Name, Addresses: p.Addresses})
	}
	return k
}

// membersFromWire are members as somebody tells them: what is needed to find them.
func membersFromWire(members []*arcv1.MemberStatus) []ring.Member {
	out := make([]ring.Member, len(members))
	for i, m := range members {
		out[i] = ring.Member{ID: m.GetId(), Name: m.GetName(), Addresses: m.GetAddresses()}
	}
	return out
}

func (n *node) standingAt(ctx context.Context, addresses []string, r *peerv1.StandingRequest) (*peerv1.StandingResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, durations.Connect)
	defer cancel()
	conn, err := n.dialAny(ctx, addresses)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return peerv1.NewPeerServiceClient(conn).Standing(ctx, r)
}

func standingFromWire(r *peerv1.StandingResponse) election.Standing {
	return election.Standing{
		RingID: r.GetRingId(), From: r.GetSelfId(), Epoch: r.GetEpoch(), Member: r.GetMember(), Out: r.GetOut(), Needed: r.GetNeeded(),
		InTouch: r.GetInTouch(), Voters: r.GetVoters(), Leader: r.GetLeaderId(), LeaderIncarnation: r.GetLeaderIncarnation(),
		LeaderAddresses: r.GetLeaderAddresses(), Incarnation: r.GetIncarnation(), Addresses: r.GetAddresses(),
	}
}

// peersAt are the members, those that moved at their new addresses.
func peersAt(members, moved []ring.Member) []transport.Peer {
	out := peersOf(members)
	for i := range out {
		if k := slices.IndexFunc(moved, func(m ring.Member) bool { return m.ID == out[i].ID }); k >= 0 {
			out[i].Addresses = moved[k].Addresses
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
