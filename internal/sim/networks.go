package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Of several networks each carries every small message, and one of them a large
// message. As long as one is left, a fault of another one is nothing that the checks
// excuse: the link counts as undisturbed.

// networksMost bounds the networks of a world.
const networksMost = 3

// networkFaults lets a third of the worlds have two or three networks, of which the
// third one may lead elsewhere. It adds faults of one of them to the plan, from a
// source of their own.
func networkFaults(r *rand.Rand, w *World, length time.Duration, faults []Fault) []Fault {
	if r.IntN(3) > 0 {
		return faults
	}
	w.Networks = 2 + r.IntN(networksMost-1)
	w.Strays = w.Networks > 2 && r.IntN(2) == 0
	for _, c := range w.cycles(length) {
		for range r.IntN(8) {
			f := Fault{At: c.from + time.Duration(r.Float64()*float64(max(c.quiet-c.from, 1))), Kind: OneNetwork,
				Who: w.target(r), For: w.lasts(r), N: r.IntN(w.Networks * oneNetworkKinds)}
			if r.IntN(3) == 0 {
				f.For = time.Duration(r.Int64N(int64(30 * time.Second))) // long enough to be told of
			}
			faults = append(faults, f)
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	return faults
}

// oneNetworkKinds is how many faults of one network there are.
const oneNetworkKinds = 5

// loseNetwork is a fault of one network: of one machine in both directions or in one,
// or of the whole switch; or it lets only small packets through to one machine.
func (s *Sim) loseNetwork(f *Fault, n *node) {
	if s.world.Networks < 2 {
		return
	}
	k, kind := f.N%s.world.Networks, f.N/s.world.Networks%oneNetworkKinds
	var pairs [][2]int
	for _, a := range s.nodes {
		for _, b := range s.nodes {
			out, in := a == n, b == n
			switch kind {
			case 0, 4:
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
	strike := func(by int) {
		for _, p := range pairs {
			l := s.link(p[0], p[1])
			was := l.severed()
			if kind == 4 {
				l.lanes[k].narrow += by
			} else {
				l.lanes[k].dead += by
			}
			switch is := l.severed(); {
			case is && !was:
				s.cutLink(p[0], p[1])
			case was && !is:
				s.healLink(p[0], p[1])
				l.goodAt = s.now // with none left it was cut
			}
			s.laneChanged(p[0], p[1])
		}
	}
	strike(1)
	s.until(f, func() { strike(-1) })
}

// severed reports whether no network is left.
func (l *link) severed() bool {
	return !slices.ContainsFunc(l.lanes, func(n lane) bool { return n.dead == 0 })
}
