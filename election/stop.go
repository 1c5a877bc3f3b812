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

// restsFrom is the least number of members that can rest: with fewer, every one of them
// would be needed again.
const restsFrom = 3

// stops are the members that are about to end.
type stops struct {
	refs          tracker.Table[uint64] // requests by member
	first, newest Instant
}

// stopping takes a member's wish to end. It is done when that one is out of the
// ring, with ErrRests if it may end as a member, and for the leader itself with
// ErrIsLeader if it has to hand over.
func (q *requests) stopping(ref, id uint64) error {
	s := &q.lead.stops
	if !q.isMember(id) {
		return ring.ErrNotMember
	}
	if s.refs.Len() == 0 {
		*s = stops{first: q.now}
	}
	if old := s.refs.Get(id); old != nil {
		q.emit(Done{Ref: *old, Err: ErrBusy})
	}
	*s.refs.Ensure(id), s.newest = ref, q.now
	return nil
}

// stopRule decides about those that are about to end, when all are or when the
// others were waited for.
func (q *requests) stopRule() {
	s := &q.lead.stops
	if s.refs.Len() == 0 {
		return
	}
	enough := len(q.ring.Members) >= restsFrom
	all := enough && !slices.ContainsFunc(q.ring.Members, func(m ring.Member) bool { return s.refs.Get(m.ID) == nil })
	if end := min(s.newest.Add(durations.StopGather), s.first.Add(durations.StopLongest)); !all && enough && q.before(end) {
		return
	}
	refs := s.refs
	*s = stops{}
	if all {
		q.trace("all members end: the ring rests on their disks")
	}
	others := slices.DeleteFunc(refs.IDs(), func(id uint64) bool { return id == q.cfg.ID })
	for _, id := range append(others, q.cfg.ID) { // the leader ends by its answer
		ref := refs.Get(id)
		switch {
		case ref == nil:
		case !q.isMember(id): // it was evicted meanwhile
			q.emit(Done{Ref: *ref, Err: ring.ErrNotMember})
		case all:
			q.emit(Done{Ref: *ref, Err: ErrRests})
		case id == q.cfg.ID:
			q.emit(Done{Ref: *ref, Err: ErrIsLeader})
		default:
			q.proposals.propose(proposal{req: *ref}, ring.Command{Leave: &ring.Leave{ID: id}})
		}
	}
}
