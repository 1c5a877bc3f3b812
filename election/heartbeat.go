package election

import (
	"slices"

	"go.etcd.io/raft/v3"
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
	// need are the learners that get one at this tick.
	need map[uint64]bool
	// sent is when the oldest unanswered heartbeat went to a learner; settled
	// when one was sent that it answered.
	sent, settled map[uint64]Instant
	// commit is raft's newest commit index, since commitAt.
	commit   uint64
	commitAt Instant
	turn     uint64
}

// tickRaft lets raft send its heartbeats.
func (n *Node) tickRaft() {
	h := &n.lead.heartbeats
	if h.need == nil {
		h.sent, h.settled = map[uint64]Instant{}, map[uint64]Instant{}
	}
	h.need = map[uint64]bool{}
	last := n.lastIndex()
	voters := n.wantedVoters()
	var next, first uint64 // whose turn it is
	n.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		if typ != raft.ProgressTypeLearner {
			return
		}
		if id > h.turn && (next == 0 || id < next) {
			next = id
		}
		if first == 0 || id < first {
			first = id
		}
		settled, ok := h.settled[id]
		if !ok || settled <= h.commitAt || pr.State != tracker.StateReplicate || pr.Match < last || slices.Contains(voters, id) {
			h.need[id] = true
		}
	})
	if next == 0 {
		next = first
	}
	h.turn = next
	h.need[next] = true
	n.rn.Tick()
	n.refresh()
}

// spared tells whether a learner goes without this heartbeat.
func (h *heartbeats) spared(n *Node, id uint64) bool {
	if n.isVoter(id) {
		return false
	}
	if !h.need[id] {
		return true
	}
	if _, waiting := h.sent[id]; !waiting {
		h.sent[id] = n.now
	}
	return false
}

// answered takes a learner's answer to a heartbeat.
func (h *heartbeats) answered(id uint64) {
	if at, ok := h.sent[id]; ok {
		h.settled[id] = at
		delete(h.sent, id)
	}
}

// committed notes that the commit index moved, which a learner may not learn.
func (h *heartbeats) committed(n *Node) {
	if h.commit != n.commit {
		h.commit, h.commitAt = n.commit, n.now
		clear(h.sent) // those were sent before
	}
}

// unsettle: what was sent to a learner may be lost.
func (h *heartbeats) unsettle(id uint64) {
	delete(h.sent, id)
	delete(h.settled, id)
}
