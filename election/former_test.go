package election_test

import (
	"slices"
	"testing"
	"time"
)

// A directory whose list of former processes begins after the one that the ring has
// recorded still says which process came after which.
func TestAShortListSaysWhatCameAfter(t *testing.T) {
	w := newWorld()
	w.compact = 1 // so that the snapshot of c has it as a member
	w.form(t, lan(t), time.Second, "a", "b", "c")
	b, c := w.nodes["b"], w.nodes["c"]
	w.kill("c", false, "")
	c.former = nil // no list was kept before
	w.restart("c")
	length := len(b.disk.entries)
	for end := w.now.Add(3 * time.Second); !slices.ContainsFunc(b.disk.entries[length:], isReturn); w.run(500 * time.Microsecond) {
		if w.now > end {
			t.Fatalf("b does not get the return\n%s", w.out.String())
		}
	}
	w.cut[[2]string{"a", "b"}] = true
	w.run(1500 * time.Microsecond)
	w.kill("a", false, "")
	w.nodes["a"].gone = true
	w.kill("c", false, "")
	w.restart("c")
	w.run(10 * time.Second)
	if got := w.claimant(t); got != "b" && got != "c" {
		t.Errorf("%q claims, want b or c: b misses %q\n%s", got, b.n.Missing(w.now), w.out.String())
	}
}
