package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
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

// A member says that its disk hangs once a write has taken a lease. A joiner, which does
// not know the lease yet, does not say so of its first write.
func TestAMemberSaysThatItsDiskHangs(t *testing.T) {
	w := threeFormed(t)
	s := w.nodes["b"].n.State().Settings
	d := &node{name: "d", hangs: func(election.Persist) bool { return true }}
	w.nodes["d"] = d
	w.order = append(w.order, "d")
	if err := w.join("d", ring.Member{}); err != nil {
		t.Fatal(err)
	}
	says := func(nd *node) bool { return nd.n.Status(w.now).DiskHangs }
	w.run(20 * time.Millisecond)
	if len(d.unsaved) == 0 || says(d) {
		t.Errorf("%d writes of the joiner wait, it says that its disk hangs: %v", len(d.unsaved), says(d))
	}
	c := w.nodes["c"]
	c.hangs = func(election.Persist) bool { return true }
	if err := w.join("e", ring.Member{}); err != nil {
		t.Fatal(err)
	}
	w.run(s.Lease() / 2)
	if len(c.unsaved) == 0 || says(c) {
		t.Errorf("%d writes of c wait for half a lease, it says that its disk hangs: %v", len(c.unsaved), says(c))
	}
	w.run(s.Lease())
	before := c.n.StatusVersion(w.now)
	if !says(c) {
		t.Error("c does not say that its disk hangs")
	}
	c.hangs = nil
	for _, p := range c.unsaved {
		c.disk.save(p)
		c.n.Persisted(w.now, p.Seq)
	}
	c.unsaved = nil
	if says(c) || c.n.StatusVersion(w.now) == before {
		t.Error("c says that its disk hangs when it has written all")
	}
}
