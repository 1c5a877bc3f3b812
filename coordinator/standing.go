package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/membership"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// inquire finds out for the core what others say of this member, and mends the
// peers' addresses by the way, unless it is at it already. The loop calls it.
func (m *living) inquire() {
	if m.inquiring.CompareAndSwap(false, true) {
		m.wg.Go(func() {
			defer m.inquiring.Store(false)
			m.inquiryRound()
		})
	}
}

func (m *living) inquiryRound() {
	n, l := m.n, m.l
	v, heard := n.hub.Load(), l.Heard()
	k := membership.Known{Named: n.o.Join, Ring: v.Ring, Expected: membersFromWire(m.e.members)}
	if n.discovery != nil {
		k.Heard = n.discovery.Members()
	}
	answers, said := m.ask(m.inquiry.Places(k))
	found := m.inquiry.Judge(v.Ring, heard, answers)
	if a := found.Newer; a != nil {
		n.transport.SetPeers(peersOfMembers(said[a.At[0]].GetMembers()))
	}
	for _, o := range found.Moved {
		was, _ := v.Ring.Member(o.ID)
		n.log.Info("a member answers at another address", "peer", o.Name, "from", was.Addresses, "to", o.Addresses)
	}
	if len(found.Moved) > 0 && !l.Heard() {
		n.transport.SetPeers(peersAt(v.Ring.Members, found.Moved))
	}
	if m.inquiry.Unheard(n.clock(), found.Answered || l.Heard()) {
		n.log.Warn("no member of the ring is heard", "ring", m.e.ringID, "addresses", n.reachedAt(),
			"hint", "are the others running, and do they reach these addresses? --join HOST:PORT names one that moved")
	}
}

// ask asks at each address of the places, since some may lead to somebody else,
// and hands every answer to the core as soon as it is there. It returns the
// answers, and what they were on the wire by address.
func (m *living) ask(places [][]string) (answers []membership.Answer, said map[string]*peerv1.StandingResponse) {
	n, l := m.n, m.l
	said = map[string]*peerv1.StandingResponse{}
	var mu sync.Mutex
	atOnce(slices.Concat(places...), func(address string) {
		r, err := n.standingAt(l.Life(), []string{address}, &peerv1.StandingRequest{Cluster: n.o.Cluster, RingId: m.e.ringID, Id: m.e.id})
		if err != nil {
			n.log.Debug("a member does not say whether this node is one", "from", address, "error", err)
			return
		}
		if r.GetCluster() == n.o.Cluster && r.GetRingId() == m.e.ringID {
			l.Answered(standingFromWire(r))
		}
		mu.Lock()
		defer mu.Unlock()
		said[address] = r
		answers = append(answers, membership.Answer{At: []string{address}, RingID: r.GetRingId(), From: r.GetSelfId(),
			Member: r.GetMember(), Members: membersFromWire(r.GetMembers())})
	})
	return answers, said
}

// membersFromWire are members as somebody tells them: what is needed to find them.
func membersFromWire(members []*arcv1.MemberStatus) []ring.Member {
	return ring.Each(members, func(m *arcv1.MemberStatus) ring.Member {
		return ring.Member{ID: m.GetId(), Name: m.GetName(), Incarnation: m.GetIncarnation(), Addresses: m.GetAddresses()}
	})
}

// standingAt asks the one who answers first, who has to speak for itself.
func (n *node) standingAt(ctx context.Context, addresses []string, r *peerv1.StandingRequest) (*peerv1.StandingResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, durations.Connect)
	defer cancel()
	conn, err := n.dialAny(ctx, addresses)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var by peer.Peer
	resp, err := peerv1.NewPeerServiceClient(conn).Standing(ctx, r, grpc.Peer(&by))
	if err != nil {
		return nil, err
	}
	var id uint64 // 0 if the answer is about another ring, whose ids are others
	if resp.GetRingId() == n.hub.Load().RingID {
		id = resp.GetSelfId()
	}
	return resp, n.answers(&by, id, resp.GetSelf())
}

// answers says why the answer of who is at the other end is not one of the member with
// this id, 0 if it has none, and name.
func (n *node) answers(by *peer.Peer, id uint64, name string) error {
	return n.servers.SpeaksFor(peer.NewContext(context.Background(), by), id, name)
}

func standingFromWire(r *peerv1.StandingResponse) election.Standing {
	return election.Standing{
		RingID: r.GetRingId(), From: r.GetSelfId(), Epoch: r.GetEpoch(), Member: r.GetMember(), Out: r.GetOut(), Needed: r.GetNeeded(),
		InTouch: r.GetInTouch(), Voters: r.GetVoters(), Leader: r.GetLeaderId(), LeaderIncarnation: r.GetLeaderIncarnation(),
		LeaderAddresses: r.GetLeaderAddresses(), Incarnation: r.GetIncarnation(), Addresses: r.GetAddresses(),
	}
}

// peersAt are the members, those that moved at their new addresses.
func peersAt(members, moved []ring.Member) []election.Peer {
	out := peersOf(members)
	for i := range out {
		if k := slices.IndexFunc(moved, func(m ring.Member) bool { return m.ID == out[i].ID }); k >= 0 {
			out[i].Addresses = moved[k].Addresses
		}
	}
	return out
}

func peersOfMembers(members []*arcv1.MemberStatus) []election.Peer {
	out := peersOf(membersFromWire(members))
	for i, m := range members {
		// A ring is founded by many at once: if each dialled each, none would have
		// the time to answer.
		out[i].Distant = !m.GetVoter()
	}
	return out
}

// heldElsewhere asks, before this process says or does anything as the member
// that its data directory holds, whether another process is that member: where
// the directory says that the member was, and where the other members say that
// it is. Nobody answering is no objection. A copy that reaches nobody is the
// core's business.
func (n *node) heldElsewhere(ctx context.Context, e entry, s *ring.State) error {
	ctx, cancel := context.WithTimeout(ctx, durations.HeldElsewhere)
	defer cancel()
	var searches sync.WaitGroup
	var mu sync.Mutex
	var held election.Superseded
	asked := map[string]bool{}
	for _, a := range n.reachedAt() {
		asked[a] = true
	}
	// Any other process of this member will do.
	wanted := ring.Wanted{Cluster: n.o.Cluster, RingID: e.ringID, Name: n.o.Name, ID: e.id, Incarnation: n.incarnation}
	// probe looks who answers at addresses that were not asked yet.
	probe := func(addresses []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, a := range addresses {
			if asked[a] {
				continue
			}
			asked[a] = true
			searches.Go(func() {
				path := n.look(ctx, wanted, []string{a}, durations.HeldElsewhere)[0]
				if !membership.HeldBy(wanted, path) {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				held = election.Superseded{By: path.Answer.Incarnation, Addresses: []string{a}}
				cancel() // one is enough
			})
		}
	}
	for _, m := range s.Members {
		if m.ID == e.id {
			probe(m.Addresses)
			continue
		}
		searches.Go(func() { // another member may say where this one is
			st, err := n.standingAt(ctx, m.Addresses, &peerv1.StandingRequest{Cluster: n.o.Cluster, RingId: e.ringID, Id: e.id})
			if err != nil || st.GetRingId() != e.ringID {
				return
			}
			for _, o := range st.GetMembers() {
				if o.GetId() == e.id {
					probe(o.GetAddresses())
				}
			}
		})
	}
	searches.Wait()
	if held.By == 0 {
		return nil
	}
	return n.notTheMember(e, held)
}

// notTheMember is the error with which a process ends that is not the member
// that its data directory holds. Nothing in the directory was changed.
func (n *node) notTheMember(e entry, s election.Superseded) error {
	who := fmt.Sprintf("member %d (%s) of ring %s", e.id, n.o.Name, e.ringID)
	if s.Behind {
		return fmt.Errorf("%w: the data directory %s is older than what %s has done since: it was restored from a copy, or its log was shortened; "+
			"nothing was changed: if the ring has a leader (ask another member: arc leader), remove the directory and start again, the node then joins "+
			"as a new member; if it has none, keep the directory and see arc recover --help",
			election.ErrSuperseded, n.o.DataDir, who)
	}
	return fmt.Errorf("%w: %s runs as process %d at %s, and this one is process %d at %s: one of their data directories is a copy of the other; "+
		"stop one of both; for this machine to be a member of its own, remove %s and start it with another --name",
		election.ErrSuperseded, who, s.By, strings.Join(s.Addresses, ", "), n.incarnation, strings.Join(n.reachedAt(), ", "), n.o.DataDir)
}
