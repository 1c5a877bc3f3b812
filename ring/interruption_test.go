package ring

import (
	"errors"
	"testing"
	"time"
)

func TestInterruptionsAreInTheHistory(t *testing.T) {
	s := of(t, "a", "b")
	epoch, hash, before := s.Epoch, s.Hash(), s.Clone()
	for i := range int64(InterruptionsKept + 3) {
		apply(t, s, 10, Command{Interrupted: &Interrupted{Term: 10, Interruption: Interruption{Since: i, Gap: 2, Total: 3, Times: 2, Why: "w"}}})
	}
	l := s.History[0]
	if n := len(l.Interruptions); n != InterruptionsKept || l.Interruptions[0].Since != 3 || l.Interruptions[n-1].Since != InterruptionsKept+2 {
		t.Errorf("interruptions %+v, want the newest %d", l.Interruptions, InterruptionsKept)
	}
	if s.Epoch != epoch || s.Hash() != hash || len(before.History[0].Interruptions) != 0 {
		t.Errorf("epoch %d, hash %.8s, before it was %d, %.8s; a clone of before has %+v", s.Epoch, s.Hash(), epoch, hash, before.History[0].Interruptions)
	}
	for name, c := range map[string]struct {
		term uint64
		i    Interrupted
		want error
	}{
		"in another term":      {11, Interrupted{10, Interruption{Gap: 1, Total: 1, Times: 1}}, ErrStale},
		"of another term":      {10, Interrupted{9, Interruption{Gap: 1, Total: 1, Times: 1}}, ErrStale},
		"without a gap":        {10, Interrupted{10, Interruption{Total: 1, Times: 1}}, ErrInvalid},
		"longer than together": {10, Interrupted{10, Interruption{Gap: 2, Total: 1, Times: 1}}, ErrInvalid},
	} {
		if _, err := s.Apply(c.term, Command{Interrupted: &c.i}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// The gap lasts until the first claim, once that is told.
func TestTheGapEndsWithTheFirstClaim(t *testing.T) {
	s := of(t, "a", "b")
	apply(t, s, 11, Command{Declare: &Declare{Term: 11, ID: 2, Incarnation: 1, Evict: []Evict{{ID: 1}}, Gap: 500, CertainGap: 20}})
	hash := s.Hash()
	l := &s.History[1]
	if known, certain := l.Outage(); known != 500*time.Microsecond || certain != 20*time.Microsecond || l.Claimed {
		t.Errorf("gap %v, for certain %v, claimed %v", known, certain, l.Claimed)
	}
	apply(t, s, 11, Command{Timed: &Timed{Term: 11, ClaimAfter: 7}})
	if known, certain := l.Outage(); known != 507*time.Microsecond || certain != 27*time.Microsecond || !l.Claimed || s.Hash() != hash {
		t.Errorf("gap %v, for certain %v, claimed %v, hash %.8s and before %.8s", known, certain, l.Claimed, s.Hash(), hash)
	}
	if _, err := s.Apply(11, Command{Timed: &Timed{Term: 11, ClaimAfter: 8}}); !errors.Is(err, ErrStale) {
		t.Errorf("told twice: %v, want ErrStale", err)
	}
}
