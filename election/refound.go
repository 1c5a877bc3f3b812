package election

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// ErrNotGone: too few members are gone for a ring to be founded again.
var ErrNotGone = errors.New("the ring can go on without being recovered")

// refoundStep is how far the terms of a ring that is founded again lie above all
// that its disk knows and above the wall clock. A term of the former ring rises
// by one an election, or with the wall clock, one a second: it reaches the new
// ring's first term after this many elections, or seconds (194 days).
const refoundStep = 1 << 24

// Survivor is what one disk knows of a ring that cannot go on. Nothing in it is
// changed by what is done with it.
type Survivor struct {
	// Ring is the state after everything that the disk holds, whether it is known
	// to be committed or not: somebody may have been told that it is.
	Ring *ring.State
	// Name is of the node that the disk belongs to.
	Name string
	// Voters are the names of those whom raft counts, ascending by id; Needed is
	// how many of them a majority takes. A former member without a known name is
	// called "member" and its id.
	Voters []string
	Needed int
	// Term is the highest one that the disk knows, Index the last of its log.
	Term, Index uint64

	halves [][]string // names of the voters, of both halves while joint
	bound  time.Duration
}

// Survive reads what a disk holds of a member.
func Survive(rec Recovered, id uint64, name string) (*Survivor, error) {
	if rec.Snapshot == nil {
		return nil, fmt.Errorf("%w: the log holds no state of a ring: %s joined it and was stopped before it had it", ring.ErrInvalid, name)
	}
	s := &Survivor{Name: name, Index: rec.Snapshot.GetMetadata().GetIndex(), bound: rec.Bound}
	s.Term = max(rec.HardState.GetTerm(), rec.Snapshot.GetMetadata().GetTerm())
	if n := len(rec.Entries); n > 0 {
		last := rec.Entries[n-1]
		s.Index, s.Term = last.GetIndex(), max(s.Term, last.GetTerm())
	}
	// The whole log counts: what was committed by this disk and those that are
	// gone may not be known as committed here.
	rec.HardState = &raftpb.HardState{Term: new(s.Term), Vote: new(uint64(0)), Commit: new(s.Index)}
	// It stands still: a member that was just started takes part in no election
	// for as long as it may have promised.
	rec.Restarted, rec.Bound = true, time.Hour
	n, err := New(Config{ID: id, Incarnation: 1, Rand: func() uint64 { return 0 }, Wall: func() int64 { return 0 }}, rec, 0)
	if err != nil {
		return nil, err
	}
	if n.applied != s.Index {
		return nil, fmt.Errorf("election: %w: the log ends at index %d and cannot be applied beyond %d", ring.ErrInvalid, s.Index, n.applied)
	}
	s.Ring = n.ring
	s.Term = max(s.Term, n.ring.Term)
	// The node's own name is that of its disk, whatever the ring says.
	names := func(ids []uint64) []string {
		names := n.namesOf(ids)
		if i := slices.Index(ids, id); i >= 0 {
			names[i] = name
		}
		return names
	}
	s.Voters = names(n.allVoters())
	for _, half := range n.halves() {
		s.halves = append(s.halves, names(half))
		s.Needed = max(s.Needed, len(half)/2+1)
	}
	return s, nil
}

// Known returns the names of the members and voters, the members first.
func (s *Survivor) Known() []string {
	names := ring.Each(s.Ring.Members, func(m ring.Member) string { return m.Name })
	for _, name := range s.Voters {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Without returns why the ring cannot be founded again with the named members
// taken for gone: a name is not one of its members or voters, or those who are
// not named can go on by themselves.
func (s *Survivor) Without(gone []string) error {
	if slices.Contains(gone, s.Name) {
		return fmt.Errorf("%w: %q is the node whose disk this is", ring.ErrInvalid, s.Name)
	}
	known := s.Known()
	var unknown []string
	for _, name := range gone {
		if !slices.Contains(known, name) {
			unknown = append(unknown, strconv.Quote(name))
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("%w: %s", ring.ErrNotMember, strings.Join(unknown, ", "))
	}
	if slices.ContainsFunc(s.halves, func(half []string) bool {
		left := slices.DeleteFunc(slices.Clone(half), func(name string) bool { return slices.Contains(gone, name) })
		return len(left) < len(half)/2+1
	}) {
		return nil
	}
	return fmt.Errorf("%w: of its voters %s, those that are not named gone are a majority as far as this disk knows; start them, and if nobody leads then, run this on the machine whose status shows the highest token", ErrNotGone, strings.Join(s.Voters, ", "))
}

// Refound returns the storage content of the ring founded again from this disk
// alone, which begins with its TermAbove, and its state, in which the only member has
// the highest id; at is the Unix time in microseconds.
func (s *Survivor) Refound(why string, at int64) (Recovered, *ring.State, error) {
	st, err := s.Ring.Refound(s.Name, why, at)
	if err != nil {
		return Recovered{}, nil, err
	}
	term, err := s.TermAbove(at)
	if err != nil {
		return Recovered{}, nil, err
	}
	rec := beginWith(st, &raftpb.ConfState{Voters: []uint64{st.HighestID}}, max(s.Index+1, st.Epoch), term) // every epoch is an entry
	rec.Bound = s.bound
	return rec, st, nil
}

// TermAbove returns the term above which those of the ring that is founded again
// begin, a fixed step above what the former ring is likely to reach soon; at is
// the Unix time in microseconds.
func (s *Survivor) TermAbove(at int64) (uint64, error) {
	term := max(s.Term, wallTerm(at)) + refoundStep
	if term >= MaxTerm {
		return 0, fmt.Errorf("election: %w: the disk knows term %d, and the ring founded again would begin above %d; no term is above %d", ring.ErrInvalid, s.Term, term, uint64(MaxTerm))
	}
	return term, nil
}
