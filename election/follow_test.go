package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
)

// ledByC is a ring of three that c leads. Its member b does not hear that c was
// started again and is recorded again.
func ledByC(t *testing.T) *world {
	t.Helper()
	w := threeFormed(t)
	c := w.nodes["c"]
	if _, err := w.request(election.Request{Handover: &election.Handover{To: c.id}}, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	w.split([]string{"b"}, []string{"c"})
	w.kill("c", false, "")
	w.restart("c")
	for end := w.now.Add(20 * time.Second); ; w.run(10 * time.Millisecond) {
		if m, _ := w.nodes["a"].n.State().Member(c.id); m.Incarnation == c.inc && w.claimant(t) == "c" {
			return w
		}
		if w.now > end {
			t.Fatalf("c does not lead again\n%s%s", w.out.String(), w.status())
		}
	}
}

// A member is told by another one which process of the leader the ring has
// recorded, and does not hear that process. It ends, and the next one is at its
// place: that one counts.
func TestWhoFollowsALeaderKnowsWhereItIs(t *testing.T) {
	w := ledByC(t)
	w.run(6 * time.Second) // b asks around
	w.kill("c", false, "")
	w.kill("a", false, "")
	w.nodes["a"].gone = true
	clear(w.cut)
	w.restart("c")
	w.run(10 * time.Second)
	if got := w.claimant(t); got != "b" && got != "c" {
		t.Errorf("%q claims, want b or c: b misses %q\n%s%s", got, w.nodes["b"].n.Missing(w.now), w.out.String(), w.status())
	}
	w.nobodyElse(t)
}

// What another member says of the leader's process comes late: the process that
// came after it counts already, and goes on to.
func TestALateWordOfALeaderEndsNoLaterProcess(t *testing.T) {
	w := ledByC(t)
	b, c := w.nodes["b"], w.nodes["c"]
	var late func()
	w.lie = func(by *node, s *election.Standing) {
		if said := *s; by.name == "a" && said.LeaderIncarnation != 0 {
			late = func() { w.to(b, func(now election.Instant) { b.n.Answered(now, said) }) }
		}
		s.From = 0 // nobody's answer comes in time
	}
	for end := w.now.Add(10 * time.Second); late == nil; w.run(time.Millisecond) {
		if w.now > end {
			t.Fatalf("a is not asked\n%s", w.out.String())
		}
	}
	w.kill("c", false, "")
	w.kill("a", false, "")
	w.nodes["a"].gone = true
	clear(w.cut)
	w.restart("c")
	w.run(100 * time.Millisecond)
	w.split([]string{"b"}, []string{"c"})
	w.run(600 * time.Millisecond)
	late()
	clear(w.cut)
	w.run(10 * time.Second)
	if got := w.claimant(t); c.superseded != nil || got != "b" && got != "c" {
		t.Errorf("%q claims, c is told %+v\n%s", got, c.superseded, w.out.String())
	}
}
