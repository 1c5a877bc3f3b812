package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
)

// tells hands a node another one's word that a process 77777 is that node.
func (w *world) tells(by, to string) { w.tellsOf(77777, by, to) }

func (w *world) tellsOf(process uint64, by, to string) {
	b, nd := w.nodes[by], w.nodes[to]
	w.to(nd, func(now election.Instant) {
		nd.n.Receive(now, election.Message{From: b.id, To: nd.id, Incarnation: b.inc,
			Held: &election.Held{RingID: "r", ID: nd.id, Incarnation: nd.inc, By: process}})
	})
}

// A word that names no process is none: the silence of the others is no assent.
func TestAWordThatNamesNoProcessEndsNone(t *testing.T) {
	for _, of := range []string{"a", "c"} { // the leader, and a follower
		w := threeFormed(t)
		w.tellsOf(0, "b", of)
		w.run(time.Second)
		if nd := w.nodes[of]; nd.superseded != nil || w.claimant(t) != "a" {
			t.Errorf("%s is told %+v by one voter, %q claims", of, nd.superseded, w.claimant(t))
		}
	}
}

// A voter's word that is not repeated does not wait for another one.
func TestAnOldWordEndsNoRecordedProcess(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c")
	w.run(time.Second)
	w.tells("a", "c")
	w.run(time.Minute)
	w.tells("b", "c")
	w.run(time.Second)
	if c := w.nodes["c"]; c.superseded != nil {
		t.Errorf("c is told %+v by two words that are a minute apart", c.superseded)
	}
	w.tells("a", "c")
	if w.nodes["c"].superseded == nil {
		t.Error("two voters agree within a second, and c goes on")
	}
}

// A learner's word decides nothing, also if it is the only one that is heard.
func TestALearnersWordEndsNoRecordedProcess(t *testing.T) {
	s := lan(t)
	s.MaxVoters = 3
	w := newWorld()
	w.form(t, s, 200*time.Millisecond, "a", "b", "c", "d")
	w.run(time.Second)
	if m := w.leader().n.Status(w.now); len(m.Learners) != 1 || m.Learners[0] != w.nodes["d"].id {
		t.Fatalf("the learners are %v, want d", m.Learners)
	}
	w.split([]string{"c"}, []string{"a", "b", "d"})
	for range 20 {
		w.run(500 * time.Millisecond)
		w.tells("d", "c")
	}
	if c := w.nodes["c"]; c.superseded != nil {
		t.Errorf("c is told %+v by a learner alone\n%s", c.superseded, w.out.String())
	}
	w.tells("b", "c")
	w.run(2 * time.Second)
	w.tells("b", "c")
	if w.nodes["c"].superseded == nil {
		t.Error("the only voter that is heard says so again and again, and c goes on")
	}
}

// A leader that learns that another process is the member says first that it no
// longer claims.
func TestALeaderThatIsReplacedNoLongerClaims(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b")
	w.run(time.Second)
	w.tells("b", "a")
	if a := w.nodes["a"]; a.superseded == nil || a.claims {
		t.Errorf("a is told %+v, and claims: %v\n%s", a.superseded, a.claims, w.out.String())
	}
}
