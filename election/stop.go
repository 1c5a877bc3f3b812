package election

import (
	"slices"

	"github.com/arc-ring/arc/election/internal/tracker"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

// A process that is told to end leaves the ring, so that the others go on with a
// majority that is there. But when all are told to end at about the same time,
// each that leaves puts the ring on fewer disks, at last on one, and the one that is
// started again without that one has no ring. So the leader waits a moment: if
// all members are about to end, nobody leaves, and any majority of them can go
// on when they are started again.
const (
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
func (q *requests) stopping(ref, id uint64) {
	s := &q.lead.stops
	if _, ok := q.ring.Member(id); !ok {
		q.emit(Done{Ref: ref, Err: ring.ErrNotMember})
		return
	}
	if s.refs.Len() == 0 {
		*s = stops{first: q.now}
	}
	if old := s.refs.Get(id); old != nil {
		q.emit(Done{Ref: *old, Err: ErrBusy})
	}
	*s.refs.Ensure(id), s.newest = ref, q.now
}

// stopRule decides about those that are about to end, when all are or when the
// others were waited for.
func (q *requests) stopRule() {
	s := &q.lead.stops
	if s.refs.Len() == 0 {
		return
	}
	all := len(q.ring.Members) >= restsFrom
	for _, m := range q.ring.Members {
		all = all && s.refs.Get(m.ID) != nil
	}
	end := min(s.newest.Add(durations.StopGather), s.first.Add(durations.StopLongest))
	if !all && q.now < end && len(q.ring.Members) >= restsFrom {
		q.wakeAt(end)
		return
	}
	refs := s.refs
	*s = stops{}
	if all {
		q.trace("all members end: the ring rests on their disks")
	}
	// The leader's own comes last: it ends then.
	for _, m := range q.ring.Members {
		if ref := refs.Get(m.ID); ref != nil && m.ID != q.cfg.ID {
			refs.Delete(m.ID)
			if all {
				q.emit(Done{Ref: *ref, Err: ErrRests})
			} else {
				q.proposals.propose(proposal{req: *ref, id: m.ID}, ring.Command{Leave: &ring.Leave{ID: m.ID}})
			}
		}
	}
	if ref := refs.Get(q.cfg.ID); ref != nil {
		refs.Delete(q.cfg.ID)
		err := ErrIsLeader
		if all {
			err = ErrRests
		}
		q.emit(Done{Ref: *ref, Err: err})
	}
	q.refuseStops(refs, ring.ErrNotMember) // who was evicted meanwhile
}

// refuseStops ends requests in the order of their numbers, for replays.
func (q *requests) refuseStops(refs tracker.Table[uint64], why error) {
	var sorted []uint64
	for _, ref := range refs.All() {
		sorted = append(sorted, *ref)
	}
	slices.Sort(sorted)
	for _, ref := range sorted {
		q.emit(Done{Ref: ref, Err: why})
	}
}
