package election_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// TestPhases loses a leader in different ways and looks at how the next one
// explains that, on every member.
func TestPhases(t *testing.T) {
	ms := func(n int64) int64 { return n * 1000 }
	for _, c := range []struct {
		name     string
		lose     func(w *world)
		evidence ring.Evidence
		seenBy   string
		// detected and promises are bounds of the figures, in microseconds.
		detected, promises [2]int64
	}{
		{"certified", func(w *world) { w.kill("a", true, "") }, ring.Certified, "a", [2]int64{}, [2]int64{}},
		{"certified, told by another voter", func(w *world) { w.kill("a", true, "c") }, ring.Certified, "a", [2]int64{}, [2]int64{}},
		{"refused: the promises run out", func(w *world) {
			w.kill("a", false, "")
			w.suspect("c", "a", ring.Refused)
		}, ring.Refused, "c", [2]int64{}, [2]int64{ms(300), ms(500)}},
		{"silent, told by the watcher", func(w *world) {
			w.kill("a", false, "")
			w.run(250 * time.Millisecond)
			w.suspect("c", "a", ring.Silent)
		}, ring.Silent, "c", [2]int64{ms(250), ms(420)}, [2]int64{ms(80), ms(250)}},
		{"silent, told by nobody", func(w *world) { w.kill("a", false, "") }, ring.Silent, "b", [2]int64{ms(500), ms(502)}, [2]int64{}},
		{"planned", func(w *world) {
			if _, err := w.request(election.Request{Handover: &election.Handover{}}, time.Second); err != nil {
				t.Error(err)
			}
		}, "", "", [2]int64{}, [2]int64{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			s, err := ring.ProfileSettings("lan")
			if err != nil {
				t.Fatal(err)
			}
			w.form(t, s, 200*time.Millisecond, "a", "b", "c", "d")
			c.lose(w)
			w.run(3 * time.Second)
			var first ring.Leadership
			for _, name := range []string{"b", "c", "d"} {
				h := w.nodes[name].n.State().History
				if len(h) != 2 {
					t.Fatalf("%s knows %d leaderships, want 2\n%s", name, len(h), w.out.String())
				}
				if h[0].Phases != (ring.Phases{}) || h[0].SeenBy != "" || h[0].ClaimAfter != 0 {
					t.Errorf("the first leadership has phases %+v, seen by %q", h[0].Phases, h[0].SeenBy)
				}
				l := h[1]
				if first.Term == 0 {
					first = l
				}
				if !reflect.DeepEqual(l, first) {
					t.Errorf("%s knows %+v, another one %+v", name, l, first)
				}
			}
			l, p := first, first.Phases
			if l.Name != "b" || l.Evidence != c.evidence || l.SeenBy != c.seenBy {
				t.Errorf("%s leads by evidence %q, seen by %q; want b, %q, %q", l.Name, l.Evidence, l.SeenBy, c.evidence, c.seenBy)
			}
			if p.Detected < c.detected[0] || p.Detected > c.detected[1] {
				t.Errorf("detected after %d µs, want %v", p.Detected, c.detected)
			}
			if p.PromisesEnded < c.promises[0] || p.PromisesEnded > c.promises[1] {
				t.Errorf("promises ended after %d µs, want %v", p.PromisesEnded, c.promises)
			}
			// A message takes a millisecond here.
			if p.Campaign < p.PromisesEnded || p.Elected < p.Campaign+ms(2) || p.Declared < p.Elected+ms(2) || p.FirstClaim < p.Declared || p.FirstClaim > p.Elected+ms(1000) {
				t.Errorf("the phases do not follow one another: %+v", p)
			}
		})
	}
}

// TestPhasesAfterAFalseAlarm: what was suspected before the leader was heard
// again does not count as the beginning of a later failover.
func TestPhasesAfterAFalseAlarm(t *testing.T) {
	w := newWorld()
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	w.form(t, s, 200*time.Millisecond, "a", "b", "c")
	w.suspect("c", "a", ring.Silent)
	w.run(10 * time.Second) // nobody repeats it
	w.kill("a", true, "")
	w.run(time.Second)
	h := w.nodes["b"].n.State().History
	if l := h[len(h)-1]; l.Name != "b" || l.Evidence != ring.Certified || l.Phases.FirstClaim == 0 || l.Phases.FirstClaim > 50_000 {
		t.Errorf("%+v, want b within 50 ms of the certificate", l)
	}
}

// What was taken back explains nothing: the leader had moved, fell silent after that,
// and goes for its silence. Nor does what nobody repeats: who said it may have looked
// where the leader was before, or has left the ring.
func TestTheHistoryNamesNoEvidenceThatNoLongerStands(t *testing.T) {
	for name, fall := range map[string]func(w *world, c *node, said ring.Opinion){
		"taken back": func(w *world, c *node, said ring.Opinion) {
			said.Word = ring.Clear{}
			w.to(c, func(now election.Instant) { c.n.Report(now, said) })
		},
		"not repeated": func(w *world, c *node, _ ring.Opinion) {
			c.stopped = true
			w.run(10 * time.Second)
			c.stopped = false
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := threeFormed(t)
			a, b, c := w.nodes["a"], w.nodes["b"], w.nodes["c"]
			a.stopped = true
			said := ring.Opinion{ID: a.id, Incarnation: a.inc, Term: b.n.State().Term, Word: ring.Suspect{Evidence: ring.Refused}}
			w.to(c, func(now election.Instant) { c.n.Report(now, said) })
			w.run(100 * time.Millisecond)
			fall(w, c, said)
			w.run(5 * time.Second)
			l := w.leader()
			if l == nil || l == a {
				t.Fatalf("nobody took over\n%s", w.out.String())
			}
			h := l.n.State().History
			if last := h[len(h)-1]; last.Evidence != ring.Silent {
				t.Errorf("the history says %q\n%s", last.Evidence, w.out.String())
			}
		})
	}
}
