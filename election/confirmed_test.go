package election

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/ring"
)

// A leader that was cut off still has the suspicions of before, and what its own
// probes found then. It has to look again before it evicts.
func TestAProbeThatFailedLongAgoConfirmsNothing(t *testing.T) {
	settings, err := ring.ProfileSettings(ring.DefaultProfile)
	if err != nil {
		t.Fatal(err)
	}
	m := ring.Member{ID: 2, Name: "n2", Incarnation: 20, Addresses: []string{"n2:1"}}
	lasts := settings.OwnProbe() + settings.SuspicionLasts()
	for age, want := range map[time.Duration]bool{0: true, lasts - 1: true, lasts: false, 25 * time.Second: false} {
		s := &suspect{Opinion: ring.Opinion{ID: 2, Incarnation: 20, By: 3, Word: ring.Suspect{Evidence: ring.Silent}}, probing: Instant(time.Minute), probed: true, found: ring.Silent}
		n := assemble(Config{ID: 1}, &ring.State{Members: []ring.Member{m}, Settings: settings}, Instant(time.Minute+age))
		n.roster.peers.Ensure(2).suspect = s
		if _, ok := n.verdicts.evidence(m); ok != want {
			t.Errorf("a probe of %v ago is evidence: %v, want %v", age, ok, want)
		}
		if n.verdicts.probe(m, s); (len(n.effects) == 0) != want {
			t.Errorf("after a probe of %v ago it probes again: %v, want %v", age, len(n.effects) > 0, !want)
		}
	}
}
