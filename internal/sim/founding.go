package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// foundTogether starts a ring as --expect does: all machines have accepted the
// first one as the founder, and are members from the start. Each begins with
// nothing but the number that it named, and asks who knows its id. So the
// founder leads only when a majority of them is there.
func (s *Sim) foundTogether() error {
	f := ring.Found{Cluster: "sim", RingID: "r1", Settings: s.world.Settings}
	for i, n := range s.nodes[:s.world.Machines] {
		s.draw(n)
		m := ring.Member{Name: n.name, Incarnation: n.inc, Addresses: n.place.Told, Witness: n.witness}
		if n.lead {
			m.OnJoin = ring.Lead
		}
		if i == 0 {
			f.Founder = m
			continue
		}
		m.Nonce = n.entry.Accept(f.Founder.Name, f.Founder.Incarnation, n.drawNumber)
		f.Others = append(f.Others, m)
	}
	rec, err := election.Found(f, 1_760_000_000_000_000)
	if err != nil {
		return fmt.Errorf("found: %w", err)
	}
	st := &ring.State{}
	if _, err := st.Apply(0, ring.Command{Found: &f}); err != nil {
		return fmt.Errorf("found: %w", err)
	}
	s.ledgerFrom(st)
	founder := s.nodes[0]
	founder.disk.durable = image{id: 1, former: []uint64{founder.inc}, hs: rec.HardState, snap: rec.Snapshot, first: st.Epoch + 1}
	for _, n := range s.nodes[:s.world.Machines] {
		n.up, n.gen, n.life = true, 1, 1
		s.monitorStart(n)
		if n != founder {
			s.askNext(n, s.between(n.rnd, time.Millisecond, time.Second))
		}
	}
	s.entered[1] = true
	s.makeCore(founder, 1, rec)
	return nil
}

// ledgerFrom begins the ledger with a ring that was just founded.
func (s *Sim) ledgerFrom(st *ring.State) {
	g := &s.ledger
	g.voters = slices.Sorted(slices.Values(st.Voters()))
	for i, m := range st.Members {
		g.join(m.ID, m)
		s.learnID(m.ID, i)
	}
	g.highest, g.epoch = uint64(len(st.Members)), st.Epoch
	g.confs = []confMark{{st.Epoch, g.voters, nil}}
	g.setSettings(0, s.world.Settings)
	g.base, g.founded, g.byEpoch = st.Epoch, st.Epoch, make([]epochMark, st.Epoch+1)
	g.byEpoch[st.Epoch] = g.epochMark()
}

// accepted reports whether a process gave its word to the founder, and has not
// learned its id yet.
func (s *Sim) accepted(n *node) bool {
	m, ok := s.ledger.Member(uint64(n.idx) + 1)
	return s.world.Together && ok && n.up && n.core == nil && m.Incarnation == n.inc
}

// foundersThere reports whether a majority of those who vote from the start run
// as members, or as the processes that gave their words, although nobody has led
// yet. Both learn of the ring from the founder, or from a member that has it from
// there: a member whose id the founder has told has an empty log until then. Without
// one of these nobody ever will, and they give the ring up.
func (s *Sim) foundersThere() bool {
	g := &s.ledger
	if !s.world.Together || g.checker.Declarations() > 0 || s.over {
		return false
	}
	told := func(n *node) bool { return n.core != nil && n.core.State().RingID != "" }
	if !slices.ContainsFunc(s.nodes, told) {
		return false
	}
	there := 0
	for _, id := range g.voters {
		if n := s.nodes[s.machineOf(id)]; n.core != nil && n.id == id || s.accepted(n) {
			there++
		}
	}
	return there > len(g.voters)/2
}

// unborn takes the end of a membership in a ring that never had a leader. If
// none was ever declared, the founding has come to nothing, and the run ends
// there. One that was cut off from the beginning may be mistaken: it must not
// hold anything that the others have counted on.
func (s *Sim) unborn(n *node) {
	g := &s.ledger
	if g.checker.Declarations() == 0 {
		s.stats.count("founding: came to nothing", 1)
		s.over = true
		return
	}
	s.stats.count("founding: given up by one that the others lead without", 1)
	for i := max(n.log.first, g.base+1); i <= n.log.last(); i++ {
		e := n.log.at(i)
		if s.appends[e.GetTerm()] == n.inc {
			continue // its own as a leader: it knows that nobody has counted on its copy
		}
		s.failAt(n, "founded", "it gives the ring up as one without a first leader, but its log has entry %d of term %d, and %d leaders have declared themselves", i, e.GetTerm(), g.checker.Declarations())
		return
	}
}

// checkFounded checks that the founder does not claim alone: the first claim
// needs a majority of those who vote from the start to have entered the ring.
func (s *Sim) checkFounded(n *node) {
	g := &s.ledger
	if !s.world.Together || s.world.Formed || g.checker.Claimed() != 1 {
		return
	}
	there := 0
	voters := g.confs[0].voters
	for _, id := range voters {
		if s.entered[id] {
			there++
		}
	}
	if there <= len(voters)/2 {
		s.failAt(n, "founded", "it claims as the first leader, but only %d of the founders %v have entered the ring", there, voters)
	}
}

// foundingFaults adds to a plan what may happen while a ring is founded
// together, from a source of their own.
func foundingFaults(r *rand.Rand, w *World, length time.Duration, faults []Fault) []Fault {
	if !w.Together || w.Formed {
		return faults
	}
	storm := w.cycles(length)[0].quiet
	kinds := [...]FaultKind{Isolate, Isolate, IsolateOneWay, Deaf, Cut, Crash, Kill, KillBoth, Pause, Partition}
	for range r.IntN(5) {
		f := w.fault(r, kinds[r.IntN(len(kinds))], time.Duration(r.Float64()*float64(time.Second)))
		f.On, f.Mid, f.Wipe, f.Gone = "", false, false, false
		if r.IntN(2) == 0 {
			f.Who = 0
		}
		if f.With == f.Who && needsTwo(f.Kind) {
			f.With = Target((int(max(f.Who, 0)) + 1) % w.Machines)
		}
		f.For = time.Duration(r.Float64() * r.Float64() * 1.2 * float64(storm))
		faults = append(faults, f)
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	return faults
}
