package election_test

import (
	"slices"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
)

// named turns ids into names.
func (w *world) named(ids []uint64) (names []string) {
	for _, id := range ids {
		names = append(names, w.name(id))
	}
	return names
}

// A minority that is cut off does not call those alive whom it does not hear: they are
// those whom it waits for. As long as somebody leads, nobody has to be heard.
func TestAMinorityKnowsWhomItDoesNotHear(t *testing.T) {
	w := formed(t, "", "a", "b", "c", "d", "e")
	unheard := func(name string) []string { return w.named(w.nodes[name].n.Status(w.now).Unheard) }
	w.run(20 * time.Second)
	for _, name := range w.order {
		if got := unheard(name); got != nil {
			t.Errorf("with a leader %s does not hear %v", name, got)
		}
	}
	w.split([]string{"a", "b", "c"}, []string{"d", "e"})
	for range 40 {
		w.run(300 * time.Millisecond)
		for _, name := range []string{"d", "e"} {
			s := w.nodes[name].n.Status(w.now)
			if got := w.named(s.Unheard); !slices.Equal(got, s.Tolerance.NeededOf) {
				t.Fatalf("%s does not hear %v, and needs %v", name, got, s.Tolerance.NeededOf)
			}
		}
	}
	for name, want := range map[string][]string{"a": nil, "b": nil, "c": nil, "d": {"a", "b", "c"}, "e": {"a", "b", "c"}} {
		if got := unheard(name); !slices.Equal(got, want) {
			t.Errorf("%s does not hear %v, want %v", name, got, want)
		}
	}
	clear(w.cut)
	w.run(5 * time.Second)
	for _, name := range w.order {
		if got := unheard(name); got != nil {
			t.Errorf("afterwards %s does not hear %v", name, got)
		}
	}
}

// Of nine, seven of whom vote, four voters die. The voters that are left hear each other,
// and no learner has to be heard. So do learners, but for one that is cut off.
func TestNoLearnerIsUnheard(t *testing.T) {
	w := formed(t, "", "a", "b", "c", "d", "e", "f", "g", "h", "i")
	dead := []string{"a", "b", "c", "d"}
	for _, name := range dead {
		w.kill(name, false, "")
	}
	w.split([]string{"i"}, []string{"a", "b", "c", "d", "e", "f", "g", "h"})
	for range 100 {
		w.run(100 * time.Millisecond)
		for _, name := range []string{"e", "f", "g", "h"} {
			if got := w.named(w.nodes[name].n.Status(w.now).Unheard); got != nil && !slices.Equal(got, dead) {
				t.Fatalf("after %v %s does not hear %v, want %v or nobody\n%s", w.now, name, got, dead, w.nodes[name].n.Status(w.now).Reason)
			}
		}
	}
	for _, name := range []string{"e", "f", "g", "h"} {
		if got := w.named(w.nodes[name].n.Status(w.now).Unheard); !slices.Equal(got, dead) {
			t.Errorf("%s does not hear %v, want %v", name, got, dead)
		}
	}
	if got, want := w.named(w.nodes["i"].n.Status(w.now).Unheard), []string{"a", "b", "c", "d", "e", "f", "g"}; !slices.Equal(got, want) {
		t.Errorf("i does not hear %v, want %v", got, want)
	}
}

// Whose end is certified is dead, also if nobody suspects it and nobody can evict it.
func TestTheCertifiedAreDead(t *testing.T) {
	w := formed(t, "", "a", "b", "c")
	w.kill("b", false, "")
	w.kill("a", true, "")
	w.run(time.Second)
	c := w.nodes["c"].n
	if s := c.Status(w.now); !slices.Equal(w.named(s.Dead), []string{"a"}) || len(s.Suspects) != 0 {
		t.Errorf("c knows of the death of %v, and suspects %v; want a", w.named(s.Dead), w.named(s.Suspects))
	}
	before := c.StatusVersion(w.now)
	b := w.nodes["b"]
	w.to(w.nodes["c"], func(now election.Instant) {
		c.Certify(now, election.Certificate{Name: "b", ID: b.id, Incarnation: b.inc, Exit: "signal: killed"})
	})
	if s := c.Status(w.now); !slices.Equal(w.named(s.Dead), []string{"a", "b"}) || c.StatusVersion(w.now) == before {
		t.Errorf("c knows of the death of %v, in a new version of its status: %v", w.named(s.Dead), c.StatusVersion(w.now) != before)
	}
}
