package election_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/arc-ring/arc/ring"
)

// knows is who leads, as a node may say at the present time; "" without proof.
func (w *world) knows(nd *node) string {
	if w.now >= nd.n.LeaderUntil() {
		return ""
	}
	return w.name(nd.n.Status(w.now).Leader)
}

// large is a ring of ten, three of whom do not vote.
func large(t *testing.T, profile string) (*world, ring.Settings) {
	w := newWorld()
	s, err := ring.ProfileSettings(profile)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("n%d", i))
	}
	w.form(t, s, 2*s.Lease()/5+100*time.Millisecond, names...)
	for _, name := range names {
		w.watch(name)
	}
	w.run(3 * s.Lease())
	return w, s
}

// Nothing is wrong, so everybody can prove who leads, at every moment: the
// leader, voters between two renewals, and learners, who hear of the leader once
// in a round of its heartbeats.
func TestProofOfTheLeaderIsSteadyAtRest(t *testing.T) {
	for _, profile := range ring.Profiles {
		t.Run(profile, func(t *testing.T) {
			w, s := large(t, profile)
			if profile == "wan" {
				w.delay = 40 * time.Millisecond
			}
			step := max(s.Lease()/100, time.Millisecond)
			for end := w.now.Add(30 * s.Lease()); w.now < end; w.run(step) {
				for _, name := range w.order {
					if got := w.knows(w.nodes[name]); got != "n0" {
						t.Fatalf("after %v %s says that %q leads: %s", w.now, name, got, w.nodes[name].n.Status(w.now).Reason)
					}
				}
			}
		})
	}
}

// Somebody is cut off alone. It has no proof any more when its lease is over, a
// learner when the leader should have come round; the others notice nothing.
func TestProofOfTheLeaderEndsWhenCutOff(t *testing.T) {
	for _, c := range []struct {
		who    string
		leases int // until it must have noticed
		alarm  bool
	}{
		{"n0", 1, false}, // the leader
		{"n3", 1, false}, // a voter
		{"n9", 4, false}, // a learner: three of them, and a lease
		{"n9", 1, true},  // and one whose monitor suspects its neighbour
	} {
		t.Run(fmt.Sprintf("%s, alarm %v", c.who, c.alarm), func(t *testing.T) {
			w, s := large(t, "lan")
			cut := w.nodes[c.who]
			for _, name := range w.order {
				if name != c.who {
					w.cut[[2]string{name, c.who}], w.cut[[2]string{c.who, name}] = true, true
				}
			}
			if c.alarm {
				w.suspect(c.who, "n0", ring.Silent)
			}
			began := w.now
			for w.knows(cut) != "" {
				if w.now > began.Add(time.Duration(c.leases)*s.Lease()).Add(5*time.Millisecond) {
					t.Fatalf("%s says that %s leads, %v after it was cut off", c.who, w.knows(cut), w.now.Sub(began))
				}
				w.run(time.Millisecond)
			}
			w.run(6 * s.Lease())
			if got := w.knows(cut); got != "" {
				t.Errorf("later it says that %s leads", got)
			}
			for _, name := range w.order {
				if nd := w.nodes[name]; name != c.who && nd.up {
					if got := w.knows(nd); got == "" || got == c.who && c.who == "n0" {
						t.Errorf("%s, which is with the majority, says that %q leads", name, got)
					}
				}
			}
			// Back in time, it knows at once. Without a word for so long it may have
			// been evicted, and then has to find that out first.
			w.cut = map[[2]string]bool{}
			w.run(2 * s.Lease())
			_, in := w.leader().n.State().Member(cut.id)
			if in && cut.up && w.knows(cut) == "" {
				t.Errorf("back, %s does not know who leads: %s", c.who, cut.n.Status(w.now).Reason)
			}
		})
	}
}

// A doubt that is unfounded costs a learner its proof for no moment: it asks.
func TestALearnerWithADoubtAsksTheLeader(t *testing.T) {
	w, s := large(t, "lan")
	n9 := w.nodes["n9"]
	if w.leader().name != "n0" || w.nodes["n9"].n.Status(w.now).Role != "StateFollower" {
		t.Fatal(w.status())
	}
	for range 10 {
		w.suspect("n9", "n0", ring.Silent)
		for end := w.now.Add(s.Lease()); w.now < end; w.run(time.Millisecond) {
			if got := w.knows(n9); got != "n0" {
				t.Fatalf("n9 says that %q leads: %s", got, n9.n.Status(w.now).Reason)
			}
		}
	}
}
