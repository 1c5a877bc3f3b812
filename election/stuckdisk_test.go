package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
)

// A voter's disk is stuck while another one campaigns in vain and asks it again and
// again. It learns who leads all the same, before its disk is back.
func TestAVoterWithAStuckDiskThatIsAskedForLongLearnsWhoLeads(t *testing.T) {
	w := threeFormed(t)
	a, c := w.nodes["a"], w.nodes["c"]
	s := w.nodes["b"].n.State().Settings
	w.kill("a", false, "")
	a.gone = true
	c.hangs = func(p election.Persist) bool { return p.HardState != nil }
	w.run(200 * s.RenewEvery())
	if len(c.unsaved) == 0 {
		t.Fatal("c's disk is not stuck")
	}
	w.restart("a")
	w.run(3 * time.Second)
	l := w.claimant(t)
	if l == "" || c.n.State().Term != w.nodes[l].n.State().Term {
		t.Errorf("%q leads, c knows of term %d\n%s", l, c.n.State().Term, w.status())
	}
}
