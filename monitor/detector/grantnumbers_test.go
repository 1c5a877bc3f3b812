package detector

import (
	"testing"
)

// A voter may have promised until the previous monitor's grant ends. What a new
// monitor testifies must not be about that one.
func TestANewMonitorRepeatsNoGrantNumber(t *testing.T) {
	grants := func(first uint64) map[uint64]bool {
		s := newScene(first)
		got := map[uint64]bool{}
		l := Link{LeaderTiming: Config{ms, 3}, OrdinaryTiming: Config{100 * ms, 5}, GrantLength: 4 * ms, Leader: 2, Term: 1, Targets: []Target{{ID: 2, Incarnation: 5}}}
		actions := s.Relink(0, l)
		for range 40 {
			for _, a := range actions {
				if a.Kind == Ping && a.Grant != 0 {
					got[a.Grant] = true
				}
			}
			s.do(actions)
			s.now = max(s.now, s.NextTick())
			actions = s.Tick(s.now)
		}
		return got
	}
	previous, present := grants(1<<32), grants(2<<32)
	if len(previous) == 0 || len(present) == 0 {
		t.Fatalf("grants %v and %v, want some of each", previous, present)
	}
	for g := range present {
		if previous[g] {
			t.Errorf("grant %d is given by both", g)
		}
	}
}
