package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// A learner is taken out of the ring, and its promotion follows in the log: the leader
// had proposed it before it applied the eviction. From then on the leader counts on
// that voter, which stays until the leader does without it, however long that takes.
func TestWhoIsPromotedAfterItsEvictionStays(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 0, "a")
	w.cut[[2]string{"b", "a"}] = true // it cannot catch up
	if err := w.join("b", ring.Member{}); err != nil {
		t.Fatal(err)
	}
	w.run(100 * time.Millisecond)
	a, b := w.nodes["a"], w.nodes["b"]
	a.hangs = anyWrite
	w.ask(election.Request{Evict: &ring.Evict{ID: b.id, Evidence: ring.Operator}})
	clear(w.cut)
	w.run(time.Second)
	w.unstick("a")
	w.until(t, "b has applied both", func() bool { return w.votersOf(b) == 2 && b.n.State().Gone(b.id) })
	w.apart("a", "b")
	w.run(5 * time.Second)
	if !b.up {
		t.Fatalf("b has gone, and a cannot do without it\n%s\n%s", w.out.String(), w.status())
	}
	clear(w.cut)
	w.run(5 * time.Second)
	if w.claimant(t) != "a" || w.votersOf(a) != 1 || b.up {
		t.Errorf("%q claims, a counts %d voters, b is up: %v\n%s\n%s", w.claimant(t), w.votersOf(a), b.up, w.out.String(), w.status())
	}
}

// A member leaves, and another one died a moment before, which nobody knows yet. The
// one that leaves is needed to take the dead one out: a pair of the living and the
// dead could do nothing.
func TestNobodyIsLetGoWhileTheOthersDoNotAnswer(t *testing.T) {
	w := threeFormed(t)
	a, c := w.nodes["a"], w.nodes["c"]
	w.kill("b", false, "")
	w.nodes["b"].gone = true
	w.ask(election.Request{Leave: &ring.Leave{ID: c.id}})
	w.run(400 * time.Millisecond)
	if got := w.votersOf(a); got != 3 || !a.n.State().Gone(c.id) {
		t.Fatalf("a counts %d voters, want 3: b is silent\n%s\n%s", got, w.out.String(), w.status())
	}
	for range 8 {
		w.suspect("a", "b", ring.Silent)
		w.suspect("c", "b", ring.Silent)
		w.run(500 * time.Millisecond)
	}
	if w.claimant(t) != "a" || w.votersOf(a) != 1 {
		t.Errorf("%q claims, a counts %d voters\n%s\n%s", w.claimant(t), w.votersOf(a), w.out.String(), w.status())
	}
}
