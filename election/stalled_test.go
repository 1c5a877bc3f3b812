package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// The leader dies. The winner's disk gets stuck before it has its declaration, and
// one of the other three does not hear it. So the declaration is not committed,
// although two have promised to the winner and answer it. They are free again
// after a lease, and elect somebody who reaches all three.
func TestAWinnerThatCannotDeclareItselfGivesUp(t *testing.T) {
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	w.form(t, s, time.Second, "a", "b", "c", "d", "e")
	w.cut[[2]string{"b", "e"}], w.cut[[2]string{"e", "b"}] = true, true
	w.nodes["b"].hangs = func(p election.Persist) bool { return !w.nodes["a"].up && len(p.Entries) > 0 }
	w.kill("a", false, "")
	w.nodes["a"].gone = true
	died := w.now
	for end := w.now.Add(20 * s.Lease()); w.claimant(t) == "" && w.now < end; w.run(time.Millisecond) {
	}
	if took, lead := w.now.Sub(died), w.claimant(t); lead == "" || lead == "b" || took > 3*s.Lease() {
		t.Errorf("%q leads after %v, want c or another one after at most %v\n%s", lead, took, 3*s.Lease(), w.out.String())
	}
}
