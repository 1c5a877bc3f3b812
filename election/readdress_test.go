package election_test

import (
	"slices"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// A member's addresses are changed by itself, and nothing else changes with
// them.
func TestAMemberTellsWhereItIsReachedNow(t *testing.T) {
	for _, name := range []string{"a", "b"} { // the leader, and another one
		w := newWorld()
		w.form(t, lan(t), time.Second, "a", "b", "c")
		nd := w.nodes[name]
		before := nd.n.State()
		want := []string{name + "2:7400", "bridge:7400"}
		w.to(nd, func(now election.Instant) { nd.n.Readdress(now, want) })
		w.run(50 * time.Millisecond)
		for _, o := range w.order {
			s := w.nodes[o].n.State()
			m, ok := s.Member(nd.id)
			if !ok || !slices.Equal(m.Addresses, want) || m.Incarnation != nd.inc {
				t.Errorf("%s lists %s as %+v, want it at %v", o, name, m, want)
			}
			if s.Term != before.Term || s.LeaderID != before.LeaderID || len(s.Members) != 3 {
				t.Errorf("%s has leader %d in term %d of %d members, before it was %d in term %d of 3",
					o, s.LeaderID, s.Term, len(s.Members), before.LeaderID, before.Term)
			}
		}
		epoch := nd.n.State().Epoch
		w.to(nd, func(now election.Instant) { nd.n.Readdress(now, nil) }) // none is known now
		w.run(3 * time.Second)
		if s := nd.n.State(); s.Epoch != epoch {
			t.Errorf("a machine without an address changed the ring from epoch %d to %d", epoch, s.Epoch)
		}
	}
}

// What is found at addresses that a member has left says nothing of it.
func TestAProbeOfFormerAddressesConfirmsNothing(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), time.Second, "a", "b", "c")
	a, b := w.nodes["a"], w.nodes["b"]
	m, _ := a.n.State().Member(b.id)
	w.to(b, func(now election.Instant) { b.n.Readdress(now, []string{"b2:7400"}) })
	w.run(50 * time.Millisecond)
	b.stopped = true
	w.suspect("c", "b", ring.Refused)
	w.run(5 * time.Millisecond)
	w.to(a, func(now election.Instant) {
		a.n.Probed(now, election.ProbeResult{Of: election.Probe{Wanted: ring.Wanted{ID: b.id, Incarnation: b.inc}, Asked: now, Addresses: m.Addresses}, Outcome: election.NobodyListens})
	})
	b.stopped = false
	for _, f := range b.backlog {
		f()
	}
	w.run(3 * time.Second)
	if _, in := a.n.State().Member(b.id); !in {
		t.Errorf("b is evicted for what answers at an address that it has left:\n%s", w.out.String())
	}
}
