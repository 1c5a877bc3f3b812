package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/membership"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// heldElsewhere asks, before this process says or does anything as the member
// that its data directory holds, whether another process is that member: where
// the directory says that the member was, and where the other members say that
// it is. Nobody answering is no objection. A copy that reaches nobody is the
// core's business.
func (n *node) heldElsewhere(ctx context.Context, e entry, s *ring.State) error {
	ctx, cancel := context.WithTimeout(ctx, durations.HeldElsewhere)
	defer cancel()
	h := heldSearch{n: n, e: e, ctx: ctx, cancel: cancel, asked: map[string]bool{}}
	for _, a := range n.reachedAt() {
		h.asked[a] = true
	}
	for _, m := range s.Members {
		if m.ID == e.id {
			h.probe(m.Addresses)
			continue
		}
		h.wg.Go(func() { h.askMember(m) })
	}
	h.wg.Wait()
	if h.by == 0 {
		return nil
	}
	return n.notTheMember(e, election.Superseded{By: h.by, Addresses: []string{h.at}})
}

// heldSearch is one search for another process of this member.
type heldSearch struct {
	n      *node
	e      entry
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	asked map[string]bool // addresses, this node's own included
	by    uint64          // the other process, 0 if none was found
	at    string
}

// askMember asks another member where this one is.
func (h *heldSearch) askMember(m ring.Member) {
	st, err := h.n.standingAt(h.ctx, m.Addresses, &peerv1.StandingRequest{Cluster: h.n.o.Cluster, RingId: h.e.ringID, Id: h.e.id})
	if err != nil || st.GetRingId() != h.e.ringID {
		return
	}
	i := slices.IndexFunc(st.GetMembers(), func(o *arcv1.MemberStatus) bool { return o.GetId() == h.e.id })
	if i >= 0 {
		h.probe(st.GetMembers()[i].GetAddresses())
	}
}

// probe looks who answers at addresses that were not asked yet.
func (h *heldSearch) probe(addresses []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range addresses {
		if h.asked[a] {
			continue
		}
		h.asked[a] = true
		h.wg.Go(func() {
			// Any other process of this member will do.
			wanted := ring.Wanted{Cluster: h.n.o.Cluster, RingID: h.e.ringID, Name: h.n.o.Name, ID: h.e.id, Incarnation: h.n.incarnation}
			path := h.n.look(h.ctx, wanted, []string{a}, durations.HeldElsewhere)[0]
			if !membership.HeldBy(wanted, path) {
				return
			}
			h.mu.Lock()
			h.by, h.at = path.Answer.Incarnation, a
			h.mu.Unlock()
			h.cancel() // one is enough
		})
	}
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
	return fmt.Errorf("%w: %s runs as process %x at %s, and this one is process %x at %s: one of their data directories is a copy of the other; "+
		"stop one of both; for this machine to be a member of its own, remove %s and start it with another --name",
		election.ErrSuperseded, who, s.By, strings.Join(s.Addresses, ", "), n.incarnation, strings.Join(n.reachedAt(), ", "), n.o.DataDir)
}
