package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/internal/verify"
	"github.com/arc-ring/arc/ring"
)

const (
	// bridgeAddress is one that every machine has: its dialler reaches
	// itself.
	bridgeAddress = "bridge:7400"
	// floatingAddress is one that wanders among the machines.
	floatingAddress = "floating:7400"
	// stranger stands for a member of another ring that has the same small id and
	// name as the member that is looked for at its address.
	stranger = -2
	// strangerDelay is how long it takes to answer.
	strangerDelay = 300 * time.Microsecond
	// noticeMost is how long a machine takes to notice its own addresses.
	noticeMost = 300 * time.Millisecond
)

// leads is the machine that an address leads to from n, -1 if to none.
func (s *Sim) leads(n *node, address string) int {
	if address == bridgeAddress {
		return n.idx
	}
	if i, ok := s.addresses[address]; ok {
		return i
	}
	return -1
}

// strange is what a stranger answers to somebody who looks for w.
func strange(w ring.Wanted) ring.Answer {
	return ring.Answer{Cluster: "sim", RingID: "r2", Name: w.Name, ID: w.ID, Incarnation: w.Incarnation ^ 1<<50}
}

// misdirect strikes at the addresses of a machine.
func (s *Sim) misdirect(n, o *node, f *Fault) {
	switch f.Kind {
	case Usurp:
		s.addresses[n.own] = stranger
		s.crash(n, f)
	case Renumber:
		s.renumber(n, o, f)
	case Float:
		s.float(n, f)
	}
}

// renumber gives a machine a new address. The old one leads nowhere, or to
// another machine, or to a stranger.
func (s *Sim) renumber(n, o *node, f *Fault) {
	old := n.own
	s.renumbered++
	n.own = fmt.Sprintf("%s-%d:7400", n.name, s.renumbered)
	s.addresses[n.own] = n.idx
	switch f.N % 3 {
	case 0:
		delete(s.addresses, old)
	case 1:
		s.addresses[old] = o.idx
	case 2:
		s.addresses[old] = stranger
	}
	s.notices(n)
}

// ownAgain gives a machine that starts a new address if it lost its own.
func (s *Sim) ownAgain(n *node) {
	if s.addresses[n.own] != n.idx {
		s.renumbered++
		n.own = fmt.Sprintf("%s-%d:7400", n.name, s.renumbered)
		s.addresses[n.own] = n.idx
	}
	s.findPlace(n)
}

// findPlace lets a machine that starts find out where it is reached.
func (s *Sim) findPlace(n *node) {
	n.place = membership.Place{}
	n.place.Look(n.clock.local(s.now), s.addressesOf(n))
}

// float moves the floating address to a machine. The one that had it may not
// notice, as when the software that moves it has crashed there.
func (s *Sim) float(n *node, f *Fault) {
	was := s.floats
	s.floats = n.idx
	s.addresses[floatingAddress] = n.idx
	n.floating = true
	s.notices(n)
	if was >= 0 && was != n.idx && f.N%2 == 0 {
		s.nodes[was].floating = false
		s.notices(s.nodes[was])
	}
}

// notices lets a machine learn its own addresses a little later.
func (s *Sim) notices(n *node) {
	s.q.push(event{at: s.now + int64(s.between(s.rnd, 0, noticeMost)), kind: evReaddress, node: int16(n.idx)})
}

// readdress tells the coordinator where its machine is reached now, if the others
// have to know.
func (s *Sim) readdress(n *node) {
	changed, _, again := n.place.Look(n.clock.local(s.now), s.addressesOf(n))
	if again > 0 {
		s.q.push(event{at: s.now + int64(again) + 1, kind: evReaddress, node: int16(n.idx)})
	}
	if !changed || n.core == nil {
		return
	}
	s.stats.count("process: told of other addresses", 1)
	s.tracef(n, "is reached at %v", n.place.Told)
	n.core.Readdress(n.clock.local(s.now), n.place.Told)
	s.stepped(n)
}

// addressesOf lists what a machine has, the most misleading first.
func (s *Sim) addressesOf(n *node) []string {
	var list []string
	if s.world.Bridges {
		list = append(list, bridgeAddress)
	}
	if n.floating {
		list = append(list, floatingAddress)
	}
	return append(list, n.own)
}

// misplaced reports whether no address that the ring has of a member leads to
// its machine: it has others and could not tell yet. What answers there, or
// refuses, is another host, and nobody can know that.
func (s *Sim) misplaced(who *node, m verify.Member) bool {
	return !slices.ContainsFunc(strings.Fields(s.ledger.addrs[m.ID]), func(a string) bool { return a != bridgeAddress && s.leads(who, a) == who.idx })
}

// impostor asks to be let in under the name of a member that runs, from a
// machine that shares addresses with it.
func (s *Sim) impostor(n *node, op *operation) bool {
	if !n.up || n.paused || n.core == nil {
		return false
	}
	inc := s.rnd.Uint64() | 1<<63
	s.dead[inc] = s.now // it has no process in this world: if let in, it is found dead
	victim, id := n, n.id
	op.make = func(l *node) (election.Request, bool) {
		m, held := l.core.State().MemberByName(victim.name)
		ok := held && m.ID == id && m.Incarnation == victim.inc && victim.up && victim.id == id
		j := &ring.Join{Member: ring.Member{Name: victim.name, Incarnation: inc, Nonce: inc, Addresses: slices.Concat([]string{"impostor:7400"}, victim.place.Told)}}
		return election.Request{Join: j}, ok
	}
	return true
}

// withAddressFaults adds to a plan what happens to the addresses. It has a chance
// of its own, so that the rest of the plan does not depend on it.
func withAddressFaults(r *rand.Rand, w *World, length time.Duration, faults []Fault) []Fault {
	if !w.Moves {
		return faults
	}
	for _, c := range w.cycles(length) {
		for range r.IntN(6) {
			at := c.from + time.Duration(r.Float64()*float64(max(c.quiet-c.from, 0)))
			faults = append(faults, w.fault(r, [...]FaultKind{Renumber, Renumber, Float, OpImpostor, Usurp}[r.IntN(5)], at))
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	return faults
}
