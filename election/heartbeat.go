package election

import (
	"cmp"
	"slices"

	"go.etcd.io/raft/v3/tracker"
)

// A learner that has everything needs no heartbeats: its vote is not counted,
// and what is new reaches it by an append. So the leader's cost at rest grows
// with the voters alone. Heartbeats go to a learner that is behind, that has
// not answered one since something was committed or its stream broke, or that
// is to become a voter; and to one more at each tick, in turn, should anything
// have been overlooked.

// heartbeats is what a leader knows of its learners' need for them.
type heartbeats struct {
	// commit is raft's newest commit index, since commitAt.
	commit   uint64
	commitAt Instant
	turn     uint64
}

// heartbeatRule lets raft send its heartbeats.
func (ls *leadership) heartbeatRule() {
	if !ls.dueEvery(&ls.lead.nextTick, ls.tickEvery()) {
		return
	}
	h, followers := &ls.lead.heartbeats, &ls.lead.followers
	last := ls.lastIndex()
	voters := ls.wantedVoters()
	var next, first uint64 // whose turn it is
	ls.progress(func(id uint64, learner bool, pr tracker.Progress) {
		if !learner {
			return
		}
		if next == 0 && id > h.turn {
			next = id
		}
		first = cmp.Or(first, id)
		f := followers.Ensure(id)
		f.heartbeat = f.settled <= h.commitAt || pr.State != tracker.StateReplicate || pr.Match < last || slices.Contains(voters, id)
	})
	if h.turn = cmp.Or(next, first); h.turn != 0 {
		followers.Ensure(h.turn).heartbeat = true
	}
	ls.parent.follow(ls.tick())
}

// spared reports whether a learner goes without this heartbeat.
func (l *leading) spared(id uint64, now Instant) bool {
	f := l.followers.Get(id)
	if f == nil || !f.heartbeat {
		return true
	}
	f.sent = cmp.Or(f.sent, now)
	return false
}

// heartbeatAnswered takes a learner's answer to a heartbeat.
func (l *leading) heartbeatAnswered(id uint64) {
	if f := l.followers.Get(id); f != nil && f.sent != 0 {
		f.settled, f.sent = f.sent, 0
	}
}

// noteCommit notes that the commit index moved, which a learner may not learn.
func (l *leading) noteCommit(commit uint64, now Instant) {
	h := &l.heartbeats
	if h.commit == commit {
		return
	}
	h.commit, h.commitAt = commit, now
	for _, f := range l.followers.All() {
		f.sent = 0 // that one was sent before
	}
}

// unsettle notes that what was sent to a learner may be lost.
func (l *leading) unsettle(id uint64) {
	if f := l.followers.Get(id); f != nil {
		f.sent, f.settled = 0, 0
	}
}
