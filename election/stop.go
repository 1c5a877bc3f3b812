package election

import (
	"maps"
	"slices"
	"time"

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
	refs          map[uint64]uint64 // requests by member
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
	if len(s.refs) == 0 {
		*s = stops{refs: map[uint64]uint64{}, first: n.now}
	}
	if old, again := s.refs[id]; again {
		n.emit(Done{Ref: old, Err: ErrBusy})
	}
	s.refs[id], s.newest = ref, n.now
}

// stopRule decides about those that are about to end, when all are or when the
// others were waited for.
func (n *Node) stopRule() {
	s := &n.lead.stops
	if len(s.refs) == 0 {
		return
	}
	all := len(n.ring.Members) >= restsFrom
	for _, m := range n.ring.Members {
		_, ok := s.refs[m.ID]
		all = all && ok
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
		if ref, ok := refs[m.ID]; ok && m.ID != n.cfg.ID {
			delete(refs, m.ID)
			if all {
				n.emit(Done{Ref: ref, Err: ErrRests})
			} else {
				n.propose(proposal{req: ref, id: m.ID}, ring.Command{Leave: &ring.Leave{ID: m.ID}})
			}
		}
	}
	if ref, ok := refs[n.cfg.ID]; ok {
		delete(refs, n.cfg.ID)
		err := ErrIsLeader
		if all {
			err = ErrRests
		}
		n.emit(Done{Ref: ref, Err: err})
	}
	n.refuseStops(refs, ring.ErrNotMember) // who was evicted meanwhile
}

// refuseStops ends requests in the order of their numbers, for replays.
func (n *Node) refuseStops(refs map[uint64]uint64, why error) {
	for _, ref := range slices.Sorted(maps.Values(refs)) {
		n.emit(Done{Ref: ref, Err: why})
	}
}
