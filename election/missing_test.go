package election_test

import (
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// missing is what a node says of those that are needed.
func (w *world) missing(name string) string { return w.nodes[name].n.Missing(w.now) }

func TestAMemberThatWaitsNamesTheDisksThatAreNeeded(t *testing.T) {
	const (
		look = ", who may lead: look at its network first, then whether they run; if a disk is lost: arc recover"
		cut  = "; this node hears none of the others" + look
		lost = "; this node does not hear c, d, e" + look
	)
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
	if got, want := w.missing("a"), "needs 2 of b, c, d, e with their disks; the voters are a, b (b:7400), c (c:7400), d (d:7400), e (e:7400)"+cut; got != want {
		t.Errorf("a says %q, want %q", got, want)
	}
	w.restart("b")
	w.run(3 * time.Second)
	for name, ab := range map[string]string{"a": "a, b (b:7400)", "b": "a (a:7400), b"} {
		if got, want := w.missing(name), "needs one of c, d, e with its disk; the voters are "+ab+", c (c:7400), d (d:7400), e (e:7400)"+lost; got != want {
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
	if got, want := p.missing("a"), "needs b with its disk; the voters are a, b (b:7400)"+cut; got != want {
		t.Errorf("a says %q, want %q", got, want)
	}
	p.kill("a", false, "")
	p.restart("a")
	if got := p.missing("a"); got != "" {
		t.Errorf("just restarted: %q", got)
	}
}

// A leader whose cable was pulled waits no longer than a follower before it says
// whom it needs: a short interruption is no loss of a disk.
func TestALeaderThatIsCutOffLooksAtItsNetworkFirst(t *testing.T) {
	w := standingWorld(t, "a", "b", "c")
	w.run(10 * time.Second)
	l := w.leader()
	for _, o := range w.order {
		w.cut[[2]string{l.name, o}], w.cut[[2]string{o, l.name}] = true, true
	}
	lost := false
	for range 800 {
		w.run(10 * time.Millisecond)
		if _, _, claims := claimOf(l, w.now); claims {
			continue
		}
		if reason := l.n.Status(w.now).Reason; !lost && strings.Contains(reason, "arc recover") {
			t.Errorf("as soon as the claim is lost: %q", reason)
		}
		lost = true
	}
	if got := w.missing(l.name); !strings.Contains(got, "hears none of the others, who may lead: look at its network first") {
		t.Errorf("%s is cut off and says %q, %q\n%s", l.name, got, l.n.Status(w.now).Reason, w.status())
	}
}

// A leader whose process stood still has heard nobody meanwhile: that says nothing of the
// others, who may answer as soon as they are asked.
func TestAProcessThatStoodStillMissesNobody(t *testing.T) {
	w := standingWorld(t, "a", "b", "c")
	w.run(5 * time.Second)
	a := w.nodes["a"]
	if w.leader() != a {
		t.Fatal("a does not lead")
	}
	w.split([]string{"a"}, []string{"b", "c"}) // nobody tells it that it is out
	a.stopped = true
	w.run(4 * time.Second)
	a.stopped = false
	for _, do := range a.backlog {
		do()
	}
	w.to(a, func(now election.Instant) { a.n.Tick(now) })
	for end := w.now.Add(300 * time.Millisecond); w.now < end; w.run(5 * time.Millisecond) {
		if s := a.n.Status(w.now); s.LeaderProven || s.Missing != "" || s.Tolerance.Needed != 0 || s.Unheard != nil {
			t.Fatalf("%v after it stood still a says %q, needs %v", w.now.Sub(end)+300*time.Millisecond, s.Reason, s.Tolerance.NeededOf)
		}
	}
	w.run(10 * time.Second)
	if s := a.n.Status(w.now); s.Missing == "" || len(s.Unheard) != 2 {
		t.Errorf("cut off for long a says %q, and does not hear %v", s.Reason, w.named(s.Unheard))
	}
}

// Who was evicted and hears one of the others again asks it, and says of no disk
// that it is needed: the ring leads.
func TestWhoAsksWhetherItIsAMemberNamesNoDisk(t *testing.T) {
	w := standingWorld(t, "a", "b", "c")
	w.kill("c", false, "")
	w.suspect("b", "c", ring.Silent)
	w.run(8 * time.Second)
	if !w.nodes["a"].n.State().Gone(w.nodes["c"].id) {
		t.Fatal("c was not evicted")
	}
	w.cut[[2]string{"b", "c"}], w.cut[[2]string{"c", "b"}] = true, true
	w.restart("c")
	for range 100 {
		w.tell("c", "a", w.nodes["a"].n.State().Epoch)
		w.run(10 * time.Millisecond)
		if got := w.missing("c"); got != "" {
			t.Fatalf("c says %q while it asks\n%s", got, w.status())
		}
	}
}

// Those who hear some of the others are cut off just as well if the rest is enough to
// lead. If it is not, the network is no better a guess than a disk.
func TestAMinorityOfSeveralLooksAtItsNetworkFirst(t *testing.T) {
	const look = "who may lead: look at its network first"
	for name, c := range map[string]struct {
		members, away []string
		witness       string
		certified     bool
		look          bool
	}{
		"two of five":                         {[]string{"a", "b", "c", "d", "e"}, []string{"a", "b", "c"}, "", false, true},
		"half of four":                        {[]string{"a", "b", "c", "d"}, []string{"a", "b"}, "", false, false},
		"two of five, of the others one died": {[]string{"a", "b", "c", "d", "e"}, []string{"a", "b", "c"}, "", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := formed(t, c.witness, c.members...)
			here := c.members[len(c.away):]
			if c.certified {
				for _, name := range here {
					n := w.nodes["a"]
					w.to(w.nodes[name], func(now election.Instant) {
						w.nodes[name].n.Certify(now, election.Certificate{Name: "a", ID: n.id, Incarnation: n.inc, Exit: "signal: killed"})
					})
				}
				w.kill("a", false, "")
			}
			w.split(c.away, here)
			w.run(12 * time.Second)
			for _, name := range here {
				if got := w.missing(name); !strings.HasPrefix(got, "needs ") || strings.Contains(got, look) != c.look {
					t.Errorf("%s says %q; looks at its network: %v is wanted", name, got, c.look)
				}
			}
		})
	}
}
