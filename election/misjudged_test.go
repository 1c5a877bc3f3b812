package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// hears hands a node a word of another one's process that binds nobody.
func (w *world) hears(name, from string, incarnation uint64, addresses ...string) {
	to, by := w.nodes[name], w.nodes[from]
	m := election.Message{From: by.id, To: to.id, Incarnation: incarnation, Opinion: &ring.Opinion{ID: by.id, Incarnation: 1, Word: ring.Suspect{Evidence: ring.Silent}}}
	if addresses != nil {
		m.Return = &election.Return{Return: ring.Return{ID: by.id, Incarnation: incarnation, Addresses: addresses}}
	}
	w.to(to, func(now election.Instant) { to.n.Receive(now, m) })
}

// A member is started twice within a second, at its place, and the first of both
// processes ends before it says where it listens. Who has met it there knows, and
// lets the second one in. The third machine is dead, so nobody else can.
func TestTwoStartsInQuickSuccession(t *testing.T) {
	w := threeFormed(t)
	b, c := w.nodes["b"], w.nodes["c"]
	w.kill("a", false, "")
	w.kill("c", false, "")
	first := w.incarnation()
	w.finds = func(p election.Probe) election.ProbeResult {
		r := election.ProbeResult{Of: p, Outcome: election.NobodyListens}
		if p.ID == c.id {
			r.Outcome, r.AnsweredBy, r.AnsweredAs = election.Answered, first, c.id
		}
		return r
	}
	w.hears("b", "c", first)
	w.run(100 * time.Millisecond)
	w.finds = nil
	w.restart("c")
	w.run(5 * time.Second)
	if w.claimant(t) == "" {
		t.Errorf("b and c run, and nobody leads\n%s%s", w.out.String(), b.n.Missing(w.now))
	}
}

// A copy of a directory speaks for a member that cannot be heard, and strangers
// are at its addresses: they say something wrong. The copy ends before anything
// was done on its word, and the member is heard again. It counts as before.
func TestAMisjudgedProcessCountsAgain(t *testing.T) {
	for _, relied := range []int{0, 1, 2} { // on nothing; on its word; and then comes another copy
		w := threeFormed(t)
		c := w.nodes["c"]
		w.split([]string{"b"}, []string{"c"})
		w.split([]string{"a"}, []string{"twin"})
		w.finds = func(p election.Probe) election.ProbeResult {
			return election.ProbeResult{Of: p, Outcome: election.Unanswered, Displaced: true}
		}
		w.run(time.Second)
		twin := w.incarnation()
		for range 20 {
			w.hears("b", "c", twin, "first:7400")
			w.run(50 * time.Millisecond)
		}
		if relied > 0 {
			w.to(w.nodes["b"], func(now election.Instant) {
				w.nodes["b"].n.Receive(now, election.Message{From: c.id, To: w.nodes["b"].id, Incarnation: twin, Release: &election.Release{}})
			})
		}
		if relied > 1 {
			twin = w.incarnation()
			for range 20 {
				w.hears("b", "c", twin, "second:7400")
				w.run(100 * time.Millisecond)
			}
		}
		w.finds = nil
		clear(w.cut)
		w.run(2 * time.Second)
		w.kill("a", false, "")
		w.run(5 * time.Second)
		if leads := w.claimant(t) != ""; leads != (relied == 0) {
			t.Errorf("somebody leads: %v, after case %d\n%s", leads, relied, w.out.String())
		}
	}
}

// A member that was heard just now has not ended, although strangers are at its addresses.
func TestAMemberThatMovedIsNotTakenForDead(t *testing.T) {
	w := threeFormed(t)
	b, c := w.nodes["b"], w.nodes["c"]
	w.finds = func(p election.Probe) election.ProbeResult {
		return election.ProbeResult{Of: p, Outcome: election.Unanswered, Displaced: true}
	}
	w.to(b, func(now election.Instant) {
		b.n.Receive(now, election.Message{From: c.id, To: b.id, Incarnation: c.inc, Opinion: &ring.Opinion{ID: b.id, Incarnation: 1, Word: ring.Suspect{Evidence: ring.Silent}}})
	})
	w.hears("b", "c", w.incarnation())
	w.run(100 * time.Millisecond)
	w.kill("a", false, "")
	w.run(5 * time.Second)
	if w.claimant(t) == "" {
		t.Errorf("nobody leads\n%s", w.out.String())
	}
}

// A copy has become the member, and the others have left since: the original knows
// none of the present voters. A majority of them tells it.
func TestAProcessThatWasReplacedHearsItFromNewVoters(t *testing.T) {
	said := func(c *node) election.Standing {
		return election.Standing{RingID: "r", Epoch: 100, Member: true, InTouch: true, Voters: []uint64{c.id, 8, 9}, Incarnation: 77777, Addresses: []string{"twin:7400"}}
	}
	for name, test := range map[string]struct {
		from []uint64
		bend func(*node, *election.Standing)
		ends bool
	}{
		"both others":               {from: []uint64{8, 9}, ends: true},
		"one voice":                 {from: []uint64{8}},
		"this process is recorded":  {from: []uint64{8, 9}, bend: func(c *node, s *election.Standing) { s.Incarnation = c.inc }},
		"no process is recorded":    {from: []uint64{8, 9}, bend: func(_ *node, s *election.Standing) { s.Incarnation = 0 }},
		"a ring that is not newer":  {from: []uint64{8, 9}, bend: func(c *node, s *election.Standing) { s.Epoch = c.n.State().Epoch }},
		"a ring of another founder": {from: []uint64{8, 9}, bend: func(_ *node, s *election.Standing) { s.RingID = "q" }},
	} {
		w := threeFormed(t)
		c := w.nodes["c"]
		w.split([]string{"a", "b"}, []string{"c"})
		for range 100 {
			for _, id := range test.from {
				s := said(c)
				s.From = id
				if test.bend != nil {
					test.bend(c, &s)
				}
				w.to(c, func(now election.Instant) { c.n.Answered(now, s) })
			}
			w.run(100 * time.Millisecond)
		}
		if ends := c.superseded != nil; ends != test.ends {
			t.Errorf("%s: c ends: %v, want %v\n%s", name, ends, test.ends, w.out.String())
		} else if ends && c.superseded.By != 77777 {
			t.Errorf("%s: c is told %+v", name, c.superseded)
		}
	}
}
