package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
)

// Of several networks each carries every small message, and one of them a large
// message. As long as one is left, a fault of another one is nothing that the checks
// excuse: the link counts as undisturbed.

// networksMost bounds the networks of a world.
const networksMost = 2

// networkFaults lets a third of the worlds have two networks, and adds faults of one
// of them to the plan, from a source of their own.
func networkFaults(r *rand.Rand, w *World, length time.Duration, faults []Fault) []Fault {
	if r.IntN(3) > 0 {
		return faults
	}
	w.Networks = networksMost
	for _, c := range w.cycles(length) {
		for range r.IntN(8) {
			faults = append(faults, Fault{At: c.from + time.Duration(r.Float64()*float64(max(c.quiet-c.from, 1))), Kind: OneNetwork,
				Who: w.target(r), For: w.lasts(r), N: r.IntN(8)})
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	return faults
}

// loseNetwork is a fault of one network: of one machine in both directions or in one,
// or of the whole switch.
func (s *Sim) loseNetwork(f *Fault, n *node) {
	if s.world.Networks < 2 {
		return
	}
	k := f.N % 2
	var pairs [][2]int
	for _, a := range s.nodes {
		for _, b := range s.nodes {
			out, in := a == n, b == n
			switch f.N / 2 {
			case 0:
				in, out = in || out, false
			case 1:
				in = false
			case 2:
				out = false
			default:
				in = true
			}
			if a != b && (in || out) {
				pairs = append(pairs, [2]int{a.idx, b.idx})
			}
		}
	}
	for _, p := range pairs {
		if l := s.link(p[0], p[1]); !l.severed() {
			if l.dead[k]++; l.severed() {
				s.cutLink(p[0], p[1])
			}
		} else {
			l.dead[k]++
		}
	}
	s.until(f, func() {
		for _, p := range pairs {
			l := s.link(p[0], p[1])
			was := l.severed()
			if l.dead[k]--; was && !l.severed() {
				s.healLink(p[0], p[1])
			}
		}
	})
}

// severed reports whether no network is left.
func (l *link) severed() bool { return l.dead[0] > 0 && l.dead[1] > 0 }

// large reports whether a message goes over one network alone.
func large(e event) bool {
	m, ok := e.p.(*election.Message)
	return ok && m.Raft != nil && proto.Size(m.Raft) > limits.SmallMessage
}

// overNetworks is how late a message is for the networks between two machines: a large
// one may be sent on one that is dead, and is sent again on the other.
func (s *Sim) overNetworks(l *link, e event) int64 {
	d := s.delay(l)
	switch {
	case s.world.Networks < 2:
	case large(e):
		if (l.dead[0] > 0 || l.dead[1] > 0) && l.rnd.Uint64()%4 == 0 {
			s.stats.count("net: large message on a dead network", 1)
			d += int64(durations.PeerStall) + s.delay(l)
		}
	case l.dead[0] == 0 && l.dead[1] == 0:
		d = min(d, s.delay(l))
	}
	return d
}
