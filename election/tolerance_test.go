package election_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

func formed(t *testing.T, witness string, names ...string) *world {
	t.Helper()
	w := newWorld()
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	w.found(names[0], s)
	for _, name := range names[1:] {
		if err := w.join(name, ring.Member{Witness: name == witness}); err != nil {
			t.Fatal(err)
		}
		w.run(200 * time.Millisecond)
	}
	w.run(2 * time.Second)
	return w
}

// What a ring says that it can lose is what it can lose: all but so many die at
// once, the leader first, and there is a leader again; with one more there is
// none, and those who are left say by name whom they need.
func TestARingKnowsWhatItCanLose(t *testing.T) {
	for _, c := range []struct {
		name, witness string
		members       []string
		can           int
		bearsCrash    bool
		needs         string
	}{
		{"one", "", []string{"a"}, 0, false, ""},
		{"a pair", "", []string{"a", "b"}, 0, true, "needs a"},
		{"a pair and a witness", "c", []string{"a", "b", "c"}, 1, false, "needs one of a, b"},
		{"a leader and a witness", "b", []string{"a", "b"}, 0, false, "needs a"},
		{"three", "", []string{"a", "b", "c"}, 1, false, "needs one of a, b"},
		{"four", "", []string{"a", "b", "c", "d"}, 1, false, "needs one of a, b"},
		{"five", "", []string{"a", "b", "c", "d", "e"}, 2, false, "needs one of a, b, c"},
		{"nine, seven of whom vote", "", []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}, 3, false, "needs one of a, b, c, d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := formed(t, c.witness, c.members...)
			for _, name := range c.members {
				if got := w.nodes[name].n.Status(w.now).Tolerance; got.CanLose != c.can || got.BearsCrash != c.bearsCrash || got.Needed != 0 {
					t.Errorf("%s says that it can lose %d (a crash: %v), needs %d of %v; want %d (%v)", name, got.CanLose, got.BearsCrash, got.Needed, got.NeededOf, c.can, c.bearsCrash)
				}
			}
			lose := func(n int) *world {
				w := formed(t, c.witness, c.members...)
				for _, name := range c.members[:n] {
					w.kill(name, false, "")
					w.nodes[name].gone = true
				}
				w.run(8 * time.Second)
				return w
			}
			leads := func(w *world) bool {
				return slices.ContainsFunc(w.order, func(name string) bool { _, _, ok := claimOf(w.nodes[name], w.now); return ok })
			}
			if c.can > 0 && !leads(lose(c.can)) {
				t.Errorf("nobody leads after the loss of %d", c.can)
			}
			if c.needs == "" {
				return
			}
			w = lose(c.can + 1)
			if leads(w) {
				t.Fatalf("somebody leads after the loss of %d", c.can+1)
			}
			last := w.nodes[c.members[c.can+1]].n.Status(w.now)
			if !strings.Contains(last.Reason, c.needs) || last.LeaderProven || last.Tolerance.CanLose != 0 {
				t.Errorf("%s says %q, and that it can lose %d; want %q", c.members[c.can+1], last.Reason, last.Tolerance.CanLose, c.needs)
			}
		})
	}
}

// A leader that is cut off says whom it needs.
func TestTheCutOffLeaderSaysWhomItNeeds(t *testing.T) {
	w := formed(t, "", "a", "b", "c")
	w.apart("a", "b")
	w.apart("a", "c")
	for ok := true; ok; _, _, ok = claimOf(w.nodes["a"], w.now) {
		w.run(time.Millisecond)
	}
	if got := w.nodes["a"].n.Status(w.now); !strings.Contains(got.Reason, "this node") || !strings.Contains(got.Reason, "needs one of b, c") {
		t.Errorf("a says %q", got.Reason)
	}
}

// A lost member stays listed with who saw it and when, until its time is over by
// the leader's clock, or an operator drops it.
func TestDepartedMembersAreForgotten(t *testing.T) {
	w := formed(t, "", "a", "b", "c", "d", "e")
	departed := func() (names []string) {
		for _, d := range w.nodes["b"].n.State().Departed {
			names = append(names, d.Name)
		}
		return names
	}
	s := w.nodes["a"].n.State().Settings
	s.ForgetAfterS = 5
	if _, err := w.request(election.Request{Settings: &s}, time.Second); err != nil {
		t.Fatal(err)
	}
	died := w.now
	w.kill("d", true, "")
	w.run(time.Second)
	if _, err := w.request(election.Request{Leave: &ring.Leave{ID: w.nodes["e"].id}}, time.Second); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if got := departed(); !slices.Equal(got, []string{"d", "e"}) {
		t.Fatalf("departed %v, want d and e", got)
	}
	d := w.nodes["b"].n.State().Departed[0]
	if at := election.Instant(time.Duration(d.At) * time.Microsecond); d.Evidence != ring.Certified || d.SeenBy != "d" || d.How != ring.Evicted || at < died || at > died.Add(100*time.Millisecond) {
		t.Errorf("d is listed as %+v, it died at %v", d, died)
	}
	epoch := w.nodes["b"].n.State().Epoch
	if _, err := w.request(election.Request{Forget: &ring.Forget{IDs: []uint64{w.nodes["e"].id}}}, time.Second); err != nil {
		t.Fatal(err)
	}
	w.run(100 * time.Millisecond)
	if got := departed(); !slices.Equal(got, []string{"d"}) {
		t.Errorf("departed %v, want d alone", got)
	}
	w.run(15 * time.Second)
	if got := departed(); len(got) != 0 || w.nodes["b"].n.State().Epoch != epoch {
		t.Errorf("departed %v in epoch %d, want nobody in epoch %d", got, w.nodes["b"].n.State().Epoch, epoch)
	}
}

// The leader knows how far everybody's log is, others their own.
func TestProgress(t *testing.T) {
	w := formed(t, "", "a", "b", "c")
	w.cut[[2]string{"a", "c"}] = true
	s := w.nodes["a"].n.State().Settings
	if _, err := w.request(election.Request{Settings: &s}, time.Second); err != nil {
		t.Fatal(err)
	}
	w.run(5 * time.Millisecond)
	index, committed := w.nodes["a"].n.Progress()
	if len(index) != 3 || index[1] < committed || index[2] < committed || index[3] >= committed {
		t.Errorf("the leader knows %v, committed is %d; want c behind alone", index, committed)
	}
	if index, _ := w.nodes["b"].n.Progress(); len(index) != 1 || index[2] == 0 {
		t.Errorf("a follower knows %v, want its own", index)
	}
}
