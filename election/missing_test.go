package election_test

import (
	"testing"
	"time"
)

// missing is what a node says of those that are needed.
func (w *world) missing(name string) string { return w.nodes[name].n.Missing(w.now) }

func TestAMemberThatWaitsNamesTheDisksThatAreNeeded(t *testing.T) {
	const lost = " (if a disk is lost: arc recover)"
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c", "d", "e")
	for _, name := range []string{"d", "e"} {
		w.kill(name, false, "")
	}
	w.run(time.Second)
	if got := w.missing("a"); got != "" {
		t.Errorf("with a leader: %q", got)
	}
	w.kill("c", false, "")
	w.kill("b", false, "")
	w.run(8 * time.Second)
	if got, want := w.missing("a"), "needs 2 of b, c, d, e with their disks; the voters are a, b, c, d, e"+lost; got != want {
		t.Errorf("a says %q, want %q", got, want)
	}
	w.restart("b")
	w.run(3 * time.Second)
	for _, name := range []string{"a", "b"} {
		if got, want := w.missing(name), "needs one of c, d, e with its disk; the voters are a, b, c, d, e"+lost; got != want {
			t.Errorf("%s says %q, want %q", name, got, want)
		}
	}

	// A pair, whose other half is gone without a word.
	p := newWorld()
	p.form(t, lan(t), 200*time.Millisecond, "a", "b")
	p.kill("b", false, "")
	p.run(200 * time.Millisecond)
	if got := p.missing("a"); got != "" {
		t.Errorf("at once: %q", got)
	}
	p.run(8 * time.Second)
	if got, want := p.missing("a"), "needs b with its disk; the voters are a, b"+lost; got != want {
		t.Errorf("a says %q, want %q", got, want)
	}
	p.kill("a", false, "")
	p.restart("a")
	if got := p.missing("a"); got != "" {
		t.Errorf("just restarted: %q", got)
	}
}
