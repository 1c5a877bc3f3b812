package devring

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// The whole story: leader after leader is killed down to the last one, all
// come back, and a returned former leader takes over.
func TestLeaderAfterLeaderIsKilled(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{Nodes: 5, Profile: calm})
	startAll(t, r)
	v, err := r.Demo(within(t, 2*time.Minute), t.Output())
	if err != nil {
		t.Error(err)
	}
	if err := v.Summary(t.Output(), r.Declared()); err != nil {
		t.Error(err)
	}
	if len(v.Failovers) != 5 {
		t.Fatalf("%d failovers, want 5", len(v.Failovers))
	}
	for i, f := range v.Failovers {
		if f.Evidence != "certified" {
			t.Errorf("failover %d from %s to %s by evidence %q, want certified", i+1, f.Old, f.New, f.Evidence)
		}
	}
	if last := v.Failovers[4]; last.New != v.Failovers[3].Old {
		t.Errorf("%s took over at last, want %s, the most recent former leader", last.New, v.Failovers[3].Old)
	}
}

// Members that return one by one: each at the tail under a new id, and only
// the tail's link moves.
func TestReturnMovesOneLink(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 4, Profile: calm})
	leader := st.GetLeader().GetName()
	var gone []*Node
	for _, m := range st.GetMembers() {
		if n := r.Named(m.GetName()); n.name != leader && len(gone) < 2 {
			gone = append(gone, n)
		}
	}
	for _, n := range gone {
		must(t, n.Kill())
		awaitRing(t, r, stepBound)
	}
	highest := highestID(st)
	for _, n := range gone {
		before := awaitRing(t, r, stepBound)
		tail := before.GetMembers()[len(before.GetMembers())-1].GetName()
		mark := r.Mark()
		must(t, n.Start())
		after := awaitRing(t, r, stepBound)
		newTail := after.GetMembers()[len(after.GetMembers())-1]
		if newTail.GetName() != n.name || newTail.GetId() <= highest {
			t.Errorf("%s came back as %d; the ring is %s, ids were given up to %d", n.name, newTail.GetId(), Picture(after), highest)
		}
		highest = newTail.GetId()
		for _, m := range before.GetMembers() {
			if moved := m.GetMonitors() != next(after, m.GetName()); moved != (m.GetName() == tail) {
				t.Errorf("the join of %s made %s monitor %s in place of %s; only the tail %s moves", n.name, m.GetName(), next(after, m.GetName()), m.GetMonitors(), tail)
			}
		}
		for _, ev := range r.Since(mark) {
			if ev.Type() == "relinked" && ev.GetNode() != tail && ev.GetNode() != n.name {
				t.Errorf("%s was relinked to %s", ev.GetNode(), ev.GetRelinked().GetTarget())
			}
		}
		if after.GetTerm() != before.GetTerm() {
			t.Errorf("the leadership changed: token %d, then %d", before.GetTerm(), after.GetTerm())
		}
	}
}

func TestReturnedFormerLeaderIsHeir(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	first := r.Named(st.GetLeader().GetName())
	must(t, first.Kill())
	if st = awaitRing(t, r, stepBound); st.GetHeir() == first.name {
		t.Errorf("the dead %s is still the heir", first.name)
	}
	must(t, first.Start())
	if st = awaitRing(t, r, stepBound); st.GetHeir() != first.name {
		t.Errorf("heir is %s, want the former leader %s", st.GetHeir(), first.name)
	}
}

// Two that die together: the ring closes over the living in one detection
// time, not in two. They and their monitors stop, so silence has to tell.
func TestTwoNeighboursFallSilent(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 6, Profile: calm})
	a := next(st, next(st, st.GetLeader().GetName())) // not watched by the leader itself
	b := next(st, a)
	if b == st.GetLeader().GetName() {
		t.Fatalf("no two neighbours apart from the leader in %s", Picture(st))
	}
	mark := r.Mark()
	freeze(t, r.Named(a), r.Named(b))
	at := map[string]time.Time{}
	leader := r.Named(st.GetLeader().GetName())
	for _, name := range []string{a, b} {
		at[name] = awaitEvent(t, r, mark, "that "+name+" is evicted", func(ev observe.Event) bool {
			return ev.Type() == "evicted" && ev.GetNode() == name && ev.By == leader.name
		}).At
	}
	gap := at[a].Sub(at[b]).Abs()
	t.Logf("evicted %v apart", gap.Round(time.Millisecond))
	interval, misses := st.GetSettings().GetIntervalMs(), st.GetSettings().GetMisses()
	if one := time.Duration(interval*misses) * time.Millisecond; gap >= one {
		t.Errorf("evicted %v apart, a detection time is %v: they were found one after the other", gap, one)
	}
	after := awaitRing(t, r, stepBound)
	if after.GetTerm() != st.GetTerm() {
		t.Errorf("the leadership changed: token %d, then %d", st.GetTerm(), after.GetTerm())
	}
}

func TestTwoNeighboursAreKilled(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 5, Profile: calm})
	a := r.Named(next(st, st.GetLeader().GetName()))
	b := r.Named(next(st, a.name))
	must(t, a.Signal(sigKill))
	must(t, b.Signal(sigKill))
	must(t, a.Wait(within(t, stepBound)))
	must(t, b.Wait(within(t, stepBound)))
	after := awaitRing(t, r, stepBound)
	if after.GetTerm() != st.GetTerm() {
		t.Errorf("the leadership changed: token %d, then %d", st.GetTerm(), after.GetTerm())
	}
}

// The leader together with the one whose monitor watches it.
func TestLeaderAndItsWatcherDie(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"killed", "silent"} {
		t.Run(how, func(t *testing.T) {
			r, st := whole(t, Options{Nodes: 5, Profile: calm})
			leader := r.Named(st.GetLeader().GetName())
			w := r.Named(watcher(st, leader.name))
			mark := r.Mark()
			began := time.Now()
			if how == "killed" {
				must(t, w.Signal(sigKill))
				must(t, leader.Signal(sigKill))
				must(t, w.Wait(within(t, stepBound)))
				must(t, leader.Wait(within(t, stepBound)))
			} else {
				freeze(t, w, leader)
			}
			ev := awaitEvent(t, r, mark, "that somebody claims", func(ev observe.Event) bool {
				return ev.Type() == "claim_gained" && ev.GetTerm() > st.GetTerm()
			})
			t.Logf("%s claims after %v", ev.GetNode(), ev.At.Sub(began).Round(time.Millisecond))
			want := heirWithout(st, w.name)
			if ev.GetNode() != want {
				t.Errorf("%s leads, the heir is %s", ev.GetNode(), want)
			}
			awaitRing(t, r, stepBound)
		})
	}
}

// heirWithout is the heir of a ring in which nobody but the leader has led.
func heirWithout(st *arcv1.StatusResponse, dead string) string {
	for _, m := range st.GetMembers() {
		if m.GetName() != st.GetLeader().GetName() && m.GetName() != dead {
			return m.GetName()
		}
	}
	return ""
}
