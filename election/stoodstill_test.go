package election

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/ring"
)

// A leader that stood still finds a suspicion that its own probe has confirmed, and may
// have slept through the member's answer. It waits for a lease before it evicts. A
// certificate needs no such wait.
func TestALeaderThatStoodStillBlamesNobody(t *testing.T) {
	lease := fourMembers(t).Settings.Lease()
	for name, tt := range map[string]struct {
		resumed   time.Duration // before now; -1: it never stood still
		certified bool
		want      bool
	}{
		"it never stood still":    {-1, false, true},
		"it goes on just now":     {0, false, false},
		"shortly before a lease":  {lease - 1, false, false},
		"after a lease":           {lease, false, true},
		"the member is certified": {0, true, true},
		"and nobody stood still":  {-1, true, true},
	} {
		n := ringOfFour(t)
		m := n.ring.Members[2]
		if tt.resumed >= 0 {
			n.roster.resumed = n.now.Add(-tt.resumed)
		}
		p := n.roster.peers.Ensure(m.ID)
		p.suspect = &suspect{Opinion: ring.Opinion{ID: m.ID, Incarnation: m.Incarnation, By: 2, Word: ring.Suspect{Evidence: ring.Silent}}, at: n.now, probed: true, probing: n.now, found: ring.Silent}
		if tt.certified {
			p.cert = &Certificate{ID: m.ID, Incarnation: m.Incarnation}
		}
		n.wake = Never
		e, ok := n.verdicts.against(m)
		if ok != tt.want {
			t.Errorf("%s: evicted as %q %v, want %v", name, e.Evidence, ok, tt.want)
		}
		if want := n.roster.resumed.Add(lease); !ok && n.wake != want {
			t.Errorf("%s: looks again at %v, want %v", name, n.wake, want)
		}
	}
}
