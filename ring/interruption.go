package ring

import (
	"fmt"
	"slices"
)

// InterruptionsKept is how many interruptions of one leadership are kept; older
// ones are dropped.
const InterruptionsKept = 16

// Interruption is a time in which a declared leader could not claim, and after
// which it claimed again in the same term. Several in short succession are told
// as one.
type Interruption struct {
	// Since is when the claim ended (the first of several), by the leader's wall
	// clock, Unix microseconds.
	Since int64 `json:"since"`
	// Gap is how long nobody could claim, the longest of several, and Total how
	// long all of them were together, microseconds.
	Gap   int64 `json:"gap"`
	Total int64 `json:"total"`
	Times int64 `json:"times"`
	// Evidence is Unanswered, or empty if the leader gave the claim up itself. Why
	// is a short sentence.
	Evidence Evidence `json:"evidence,omitempty"`
	Why      string   `json:"why"`
}

// Interrupted adds an interruption to the history of the leader of Term. It
// changes no ring, and no epoch counts it.
type Interrupted struct {
	Term uint64 `json:"term"`
	Interruption
}

func (s *State) interrupted(term uint64, i Interrupted) error {
	n := len(s.History)
	if n == 0 || i.Term != term || s.History[n-1].Term != i.Term {
		return fmt.Errorf("%w: an interruption of term %d in an entry of term %d, the newest leadership is %d", ErrStale, i.Term, term, s.Term)
	}
	if i.Gap <= 0 || i.Times <= 0 || i.Total < i.Gap {
		return fmt.Errorf("%w: %d interruptions, the longest of %d µs, %d µs together", ErrInvalid, i.Times, i.Gap, i.Total)
	}
	l := &s.History[n-1]
	kept := append(slices.Clone(l.Interruptions), i.Interruption) // clones share the old ones
	l.Interruptions = kept[max(len(kept)-InterruptionsKept, 0):]
	return nil
}
