package election

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/election/internal/tracker"
	"github.com/arc-ring/arc/ring"
)

// A process that is told to end leaves the ring, so that the others go on with a
// majority that is there. But when all are told to end at about the same time,
// each that leaves puts the ring on fewer disks, at last on one, and the one that is
// started again without that one has no ring. So the leader waits a moment: if
// all members are about to end, nobody leaves, and any majority of them can go
// on when they are started again.
const (
	// stopGather is how long the newest wish to end waits for others; stopLongest
	// bounds the wait of the first.
	stopGather  = 250 * time.Millisecond
	stopLongest = time.Second
	// restsFrom is the least number of members that can rest: with fewer, every
	// one of them would be needed again.
	restsFrom = 3
)

// stops are the members that are about to end.
type stops struct {
	refs          tracker.Table[uint64] // requests by member
	first, newest Instant
}

// stopping takes a member's wish to end. It is done when that one is out of the
// ring, with ErrRests if it may end as a member, and for the leader itself with
// ErrIsLeader if it has to hand over.
func (n *Node) stopping(ref, id uint64) {
	s := &n.lead.stops
	if _, ok := n.ring.Member(id); !ok {
		n.emit(Done{Ref: ref, Err: ring.ErrNotMember})
		return
	}
	if s.refs.Len() == 0 {
		*s = stops{first: n.now}
	}
	if old := s.refs.Get(id); old != nil {
		n.emit(Done{Ref: *old, Err: ErrBusy})
	}
	*s.refs.Ensure(id), s.newest = ref, n.now
}

// stopRule decides about those that are about to end, when all are or when the
// others were waited for.
func (n *Node) stopRule() {
	s := &n.lead.stops
	if s.refs.Len() == 0 {
		return
	}
	all := len(n.ring.Members) >= restsFrom
	for _, m := range n.ring.Members {
		all = all && s.refs.Get(m.ID) != nil
	}
	end := min(s.newest.Add(stopGather), s.first.Add(stopLongest))
	if !all && n.now < end && len(n.ring.Members) >= restsFrom {
		n.wakeAt(end)
		return
	}
	refs := s.refs
	*s = stops{}
	if all {
		n.trace("all members end: the ring rests on their disks")
	}
	// The leader's own comes last: it ends then.
	for _, m := range n.ring.Members {
		if ref := refs.Get(m.ID); ref != nil && m.ID != n.cfg.ID {
			refs.Delete(m.ID)
			if all {
				n.emit(Done{Ref: *ref, Err: ErrRests})
			} else {
				n.propose(proposal{req: *ref, id: m.ID}, ring.Command{Leave: &ring.Leave{ID: m.ID}})
			}
		}
	}
	if ref := refs.Get(n.cfg.ID); ref != nil {
		refs.Delete(n.cfg.ID)
		err := ErrIsLeader
		if all {
			err = ErrRests
		}
		n.emit(Done{Ref: *ref, Err: err})
	}
	n.refuseStops(refs, ring.ErrNotMember) // who was evicted meanwhile
}

// refuseStops ends requests in the order of their numbers, for replays.
func (n *Node) refuseStops(refs tracker.Table[uint64], why error) {
	var sorted []uint64
	for _, ref := range refs.All() {
		sorted = append(sorted, *ref)
	}
	slices.Sort(sorted)
	for _, ref := range sorted {
		n.emit(Done{Ref: ref, Err: why})
	}
}
