package wal

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// Batch is one change of the stored state. After a crash it is either wholly
// there or not at all.
type Batch struct {
	// HardState is nil if unchanged. Its Commit must not lie beyond the last
	// entry, and its Term must not fall.
	HardState *raftpb.HardState
	// Entries, with ascending indexes without a gap, replace everything from
	// the index of the first one on.
	Entries []*raftpb.Entry
	// Snapshot, nil if unchanged, drops all entries up to its index.
	Snapshot *raftpb.Snapshot
	// Reset drops all entries, before Entries are added.
	Reset bool
	// Bound is the longest promise that may live; 0 if unchanged.
	Bound time.Duration
	// Sync makes Save return only when this and all before is durable. A
	// Batch with a Snapshot or Reset always is.
	Sync bool
}

// Recovered is what a directory holds. HardState and Snapshot are nil if none
// was ever saved. HardState.Commit is at least the snapshot's index.
type Recovered struct {
	HardState *raftpb.HardState
	Snapshot  *raftpb.Snapshot
	Entries   []*raftpb.Entry
	Bound     time.Duration
	Identity  Identity
	// Fresh is true if the directory holds no ring; all else is then zero.
	Fresh bool
}

// Identity says whom a directory belongs to.
type Identity struct {
	Cluster, RingID, Name string
	ID                    uint64
}

// hardState is raftpb.HardState by value, so that the caller may reuse its.
type hardState struct {
	set                bool
	term, vote, commit uint64
}

// state is what a segment's records add up to.
type state struct {
	hard     hardState
	snapshot *raftpb.Snapshot
	entries  []*raftpb.Entry
	bound    time.Duration
}

// base is the snapshot's index, 0 without one.
func (s *state) base() uint64 { return s.snapshot.GetMetadata().GetIndex() }

func (s *state) last() uint64 {
	if n := len(s.entries); n > 0 {
		return s.entries[n-1].GetIndex()
	}
	return s.base()
}

// check says why b cannot follow on s.
func (s *state) check(b *Batch) error {
	base, last := s.base(), s.last()
	if b.Reset {
		last = base
	}
	if b.Snapshot != nil {
		index := b.Snapshot.GetMetadata().GetIndex()
		if index == 0 || index < base {
			return fmt.Errorf("%w: snapshot at index %d after one at %d", ErrInvalid, index, base)
		}
		if n := len(b.Snapshot.GetData()); n > maxPayload/2 {
			return fmt.Errorf("%w: snapshot of %d bytes, at most %d fit", ErrInvalid, n, maxPayload/2)
		}
		base, last = index, max(last, index)
	}
	if len(b.Entries) > 0 {
		first := b.Entries[0].GetIndex()
		switch {
		case first == 0 || first > last+1:
			return fmt.Errorf("%w: entries from index %d after last index %d", ErrInvalid, first, last)
		case first <= base && b.Snapshot == nil:
			return fmt.Errorf("%w: entries from index %d, but the snapshot covers up to %d", ErrInvalid, first, base)
		}
		for i, e := range b.Entries {
			if e.GetIndex() != first+uint64(i) {
				return fmt.Errorf("%w: entry with index %d where %d is due", ErrInvalid, e.GetIndex(), first+uint64(i))
			}
			if n := len(e.GetData()); n > maxPayload/4 {
				return fmt.Errorf("%w: entry of %d bytes, at most %d fit", ErrInvalid, n, maxPayload/4)
			}
		}
		last = max(base, first+uint64(len(b.Entries))-1)
	}
	hard := s.hard
	if b.HardState != nil {
		hard.commit = b.HardState.GetCommit()
		if term := b.HardState.GetTerm(); term < hard.term {
			return fmt.Errorf("%w: term %d after term %d", ErrInvalid, term, hard.term)
		}
	}
	if hard.commit > last {
		return fmt.Errorf("%w: commit index %d beyond the last index %d", ErrInvalid, hard.commit, last)
	}
	if b.Bound < 0 {
		return fmt.Errorf("%w: bound %s", ErrInvalid, b.Bound)
	}
	return nil
}

// apply makes b's change; check must have accepted it.
func (s *state) apply(b *Batch) {
	if b.Reset {
		s.entries = nil
	}
	if b.Snapshot != nil {
		s.snapshot = b.Snapshot
		// Cloned, or the dropped entries would stay reachable.
		s.entries = slices.Clone(from(s.entries, s.base()+1))
	}
	if len(b.Entries) > 0 {
		s.entries = s.entries[:len(s.entries)-len(from(s.entries, b.Entries[0].GetIndex()))]
		s.entries = append(s.entries, from(b.Entries, s.base()+1)...)
	}
	if h := b.HardState; h != nil {
		s.hard = hardState{set: true, term: h.GetTerm(), vote: h.GetVote(), commit: h.GetCommit()}
	}
	if b.Bound != 0 {
		s.bound = b.Bound
	}
}

// from returns the part of entries that starts at index or later.
func from(entries []*raftpb.Entry, index uint64) []*raftpb.Entry {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].GetIndex() >= index })
	return entries[i:]
}

func (s *state) recovered(id Identity) Recovered {
	r := Recovered{Snapshot: s.snapshot, Entries: slices.Clone(s.entries), Bound: s.bound, Identity: id}
	if s.hard.set {
		// A snapshot holds only what was committed, even if the commit index
		// was never written: raft would not accept the two as they are.
		commit := max(s.hard.commit, s.base())
		r.HardState = &raftpb.HardState{Term: new(s.hard.term), Vote: new(s.hard.vote), Commit: new(commit)}
	}
	return r
}
