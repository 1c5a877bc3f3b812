package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// votersOf is how many voters a node counts.
func (w *world) votersOf(nd *node) int { return len(nd.n.Status(w.now).Voters) }

// until lets time pass in small steps until done.
func (w *world) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := w.now.Add(8 * time.Second); !done(); w.run(100 * time.Microsecond) {
		if w.now > end {
			t.Fatalf("%s has not come about\n%s\n%s", what, w.status(), w.out.String())
		}
	}
}

// A pair has grown, and one of the two has the entry but has not heard that it is
// committed. It must not decide alone which process of the other one counts: the
// other two are a majority without it.
func TestAPairThatMayHaveGrownDecidesNothing(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 1200*time.Millisecond, "a", "b")
	a := w.nodes["a"]
	if err := w.join("c", ring.Member{}); err != nil {
		t.Fatal(err)
	}
	w.until(t, "a configuration of three", func() bool { return w.votersOf(a) == 3 })
	w.split([]string{"a", "c"}, []string{"b", "copy"})
	w.run(300 * time.Millisecond)
	w.clone("a", "copy")
	w.run(10 * time.Second)
	w.nobodyElse(t)
}

// The same for one that was restarted, and meets the original whose copy the ring has
// recorded. When it hears of it differs.
func TestAPairThatMayHaveGrownTakesNobodyBack(t *testing.T) {
	for k := range time.Duration(12) {
		w := newWorld()
		w.form(t, lan(t), 1200*time.Millisecond, "a", "b")
		a, b := w.nodes["a"], w.nodes["b"]
		w.split([]string{"a", "copy"}, []string{"b"})
		c := w.clone("b", "copy")
		w.until(t, "the record of the copy", func() bool {
			m, _ := a.n.State().Member(b.id)
			return m.Incarnation == c.inc && w.claimant(t) != ""
		})
		w.run(time.Second)
		if _, err := w.request(election.Request{Handover: &election.Handover{To: b.id}}, 3*time.Second); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		if err := w.join("c", ring.Member{}); err != nil {
			t.Fatal(err)
		}
		w.until(t, "a configuration of three", func() bool { return w.votersOf(c) == 3 || w.votersOf(a) == 3 })
		w.split([]string{"copy", "c"}, []string{"a", "b"})
		w.kill("a", false, "")
		w.restart("a")
		w.run(k * 37 * time.Millisecond)
		w.cut[[2]string{"a", "b"}], w.cut[[2]string{"b", "a"}] = false, false
		w.run(10 * time.Second)
		w.nobodyElse(t)
	}
}

// The survivor of a pair has a join in its log that it does not know to be committed.
// The one that joined may be needed, so it does not go on alone.
func TestASurvivorWithAnUnsettledLogWaits(t *testing.T) {
	for unsettled, want := range map[bool]string{false: "b", true: ""} {
		w := newWorld()
		w.form(t, lan(t), 1200*time.Millisecond, "a", "b")
		a, b := w.nodes["a"], w.nodes["b"]
		if unsettled {
			w.cut[[2]string{"b", "a"}] = true
			before := b.n.Status(w.now).Applied
			w.to(a, func(now election.Instant) {
				a.n.Request(now, election.Request{Ref: 9, Join: &ring.Join{Member: ring.Member{Name: "c", Incarnation: w.incarnation(), Nonce: 1, Addresses: []string{"c"}}}})
			})
			w.run(20 * time.Millisecond)
			if b.n.Status(w.now).Applied != before {
				t.Fatal("the join is committed")
			}
		}
		w.kill("a", true, "")
		w.run(5 * time.Second)
		if got := w.claimant(t); got != want {
			t.Errorf("unsettled %v: %q claims, want %q\n%s", unsettled, got, want, w.status())
		}
	}
}
