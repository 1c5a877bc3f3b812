package election_test

import (
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
)

// A member that does not lead releases the voters from their promise to the leader, in
// its own name or as another process of the leader. They stay bound, and refuse it.
func TestNobodyElseReleasesTheLeadersVoters(t *testing.T) {
	for name, as := range map[string]func(leader, liar *node) (id, incarnation uint64){
		"in its own name":                  func(_, liar *node) (uint64, uint64) { return liar.id, liar.inc },
		"as another process of the leader": func(leader, _ *node) (uint64, uint64) { return leader.id, 77777 },
	} {
		t.Run(name, func(t *testing.T) {
			w := threeFormed(t)
			a, c := w.leader(), w.nodes["c"]
			w.split([]string{"a"}, []string{"c"}) // so that a's claim is b's promise
			id, incarnation := as(a, c)
			for range 40 {
				w.say("c", "b", election.Message{Release: &election.Release{Term: a.n.State().Term, Seq: 1 << 40, ID: id, Incarnation: incarnation}})
				if holes := w.holes(50 * time.Millisecond); len(holes) > 0 || w.claimant(t) != "a" {
					t.Fatalf("%q claims, nobody did at %v\n%s", w.claimant(t), holes, w.out.String())
				}
			}
			w.split([]string{"a"}, []string{"b"}) // a claims still, and b may not vote yet
			w.run(time.Second)
			w.nobodyElse(t)
			if !strings.Contains(w.out.String(), "refuses a message") {
				t.Error("nothing says that it was refused")
			}
		})
	}
}
