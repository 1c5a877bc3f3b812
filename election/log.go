package election

import (
	"math"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// write is what raft wants on disk, and the messages that wait for it.
type write struct {
	seq      uint64 // Persist's number
	began    Instant
	hard     *raftpb.HardState
	entries  []*raftpb.Entry
	snapshot *raftpb.Snapshot
	after    []*raftpb.Message
}

// maxWrites is how many writes may be under way. Beyond that the core takes
// nothing more from raft until the disk has finished one, so that the owner's
// queue stays bounded.
const maxWrites = 128

// writing reports whether a write of raft's is under way.
func (r *replica) writing() bool { return len(r.writes) > 0 }

// owesVote reports whether the same answer to a candidate waits for the disk already.
// A candidate asks again and again, and while the disk is stuck its questions would
// leave no room for what a leader says.
func (r *replica) owesVote(m *raftpb.Message) bool {
	if t := m.GetType(); t != raftpb.MsgVoteResp && t != raftpb.MsgPreVoteResp {
		return false
	}
	same := func(o *raftpb.Message) bool {
		return o.GetType() == m.GetType() && o.GetTo() == m.GetTo() && o.GetTerm() == m.GetTerm() && o.GetReject() == m.GetReject()
	}
	return slices.ContainsFunc(r.writes, func(w *write) bool { return slices.ContainsFunc(w.after, same) })
}

// lastIndex is the index of the last entry of the log, durable or not.
func (r *replica) lastIndex() uint64 {
	for _, w := range slices.Backward(r.writes) {
		if k := len(w.entries); k > 0 {
			return w.entries[k-1].GetIndex()
		}
		if w.snapshot != nil {
			return w.snapshot.GetMetadata().GetIndex()
		}
	}
	return r.lastStored()
}

// lastStored is the index of the last entry that is durable.
func (r *replica) lastStored() uint64 {
	last, err := r.store.LastIndex()
	r.must(err, "last index of the memory log")
	return last
}

// entry returns an entry of the log, durable or not; nil if the log does not
// hold it.
func (r *replica) entry(index uint64) *raftpb.Entry {
	for _, w := range slices.Backward(r.writes) {
		if len(w.entries) > 0 {
			first := w.entries[0].GetIndex()
			if index >= first+uint64(len(w.entries)) {
				return nil // this write cut the log
			}
			if index >= first {
				return w.entries[index-first]
			}
		}
		if w.snapshot != nil {
			return nil
		}
	}
	// While the disk is stuck, raft holds entries that it has not handed out yet.
	if index > r.lastStored() {
		return nil
	}
	es, err := r.store.Entries(index, index+1, math.MaxUint64)
	if err != nil || len(es) == 0 {
		return nil
	}
	return es[0]
}

// termAt returns the term of an entry of the log, durable or not; false if it
// is not known.
func (r *replica) termAt(index uint64) (uint64, bool) {
	if e := r.entry(index); e != nil {
		return e.GetTerm(), true
	}
	for _, w := range slices.Backward(r.writes) {
		if s := w.snapshot; s != nil {
			return s.GetMetadata().GetTerm(), s.GetMetadata().GetIndex() == index
		}
	}
	t, err := r.store.Term(index)
	return t, err == nil
}

// store a finished write where raft reads the durable log.
func (r *replica) stored(w *write) {
	if w.snapshot != nil {
		r.must(r.store.ApplySnapshot(w.snapshot), "raft accepted a snapshot that its storage refuses")
	}
	r.must(r.store.Append(w.entries), "append to memory log")
	if w.hard != nil {
		r.must(r.store.SetHardState(w.hard), "write to memory log")
	}
}
