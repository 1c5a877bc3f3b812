package election_test

import (
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// While the next leader is being elected, those who wait say why the one before is not
// known to lead, and want nobody who is only not heard since nobody had to talk to them.
func TestALossIsExplained(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(w *world)
		lost string
	}{
		"a handover": {func(w *world) {
			l := w.leader()
			w.to(l, func(now election.Instant) {
				l.n.Request(now, election.Request{Ref: 99, Handover: &election.Handover{}})
			})
		}, "a hands over"},
		"kill -9": {func(w *world) { w.kill("a", true, "") }, "a is certified dead by its own monitor: signal: killed"},
		"silence, and nobody suspects": {func(w *world) {
			w.kill("a", false, "")
			w.nodes["a"].gone = true
		}, "a was not heard for too long"},
		"silence, and its watcher suspects": {func(w *world) {
			w.kill("a", false, "")
			w.nodes["a"].gone = true
			w.run(100 * time.Millisecond)
			w.suspect("e", "a", ring.Silent)
		}, "a is suspected by e: silent"},
	} {
		t.Run(name, func(t *testing.T) {
			w := formed(t, "", "a", "b", "c", "d", "e")
			if s := w.nodes["b"].n.Status(w.now); s.Lost != "" {
				t.Errorf("with a leader: lost since %q", s.Lost)
			}
			token := w.nodes["b"].n.State().Term
			c.end(w)
			said := 0
			for end := w.now.Add(3 * time.Second); w.now < end; w.run(300 * time.Microsecond) {
				for _, name := range []string{"b", "c", "d", "e"} {
					n := w.nodes[name].n
					s := n.Status(w.now)
					if s.LeaderProven != (s.Lost == "") && s.Role != "StateLeader" {
						t.Fatalf("%s knows a leader: %v, and says %q, lost: %q", name, s.LeaderProven, s.Reason, s.Lost)
					}
					if s.LeaderProven || s.Role == "StateLeader" || n.State().Term != token {
						continue
					}
					said++
					if s.Lost != c.lost {
						t.Fatalf("%s says %q, want %q", name, s.Lost, c.lost)
					}
					if strings.Contains(s.Reason, "need") || s.Tolerance.Needed != 0 {
						t.Fatalf("%s says %q and needs %v during an election", name, s.Reason, s.Tolerance.NeededOf)
					}
				}
			}
			if said == 0 || w.leader() == nil {
				t.Errorf("nobody said anything, or nobody leads\n%s", w.status())
			}
		})
	}
}

// A leader that led last and is cut off says why it does not lead.
func TestAFormerLeaderSaysWhyItLeadsNoLonger(t *testing.T) {
	w := formed(t, "", "a", "b", "c")
	w.split([]string{"a"}, []string{"b", "c"})
	w.run(20 * time.Second)
	if s := w.nodes["a"].n.Status(w.now); s.Lost != "this node led, and no majority answered it" {
		t.Errorf("a says %q, %q", s.Lost, s.Reason)
	}
	w.kill("b", false, "")
	w.restart("b")
	w.run(10 * time.Millisecond)
	if s := w.nodes["b"].n.Status(w.now); s.Lost != "this node led, and was restarted" {
		t.Errorf("b says %q, %q", s.Lost, s.Reason)
	}
}
