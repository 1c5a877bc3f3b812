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
			if l := s.link(p[0], p[1]); kind == 4 {
				l.lanes[k].narrow += by
			} else {
				l.lanes[k].dead += by
			}
			s.sever(p[0], p[1])
			s.sever(p[1], p[0])
			s.laneChanged(p[0], p[1])
		}
	}
	strike(1)
	s.until(f, func() { strike(-1) })
}

// sever cuts a link, or heals it, as its networks demand.
func (s *Sim) sever(from, to int) {
	there, back := s.link(from, to), s.link(to, from)
	switch is := severed(there.lanes, back.lanes); {
	case is && !there.severed:
		s.cutLink(from, to)
		there.severed = true
	case !is && there.severed:
		s.healLink(from, to)
		there.severed, there.goodAt = false, s.now // with none left it was cut
	}
}

// severed reports whether faults of the networks cut a link: none is left in its
// direction, or those that are left in the two directions are others. Nothing that they
// carry is acknowledged, so no stream stands.
func severed(there, back []lane) bool {
	left, leftBack, both := false, false, false
	for k := range there {
		t, b := there[k].dead == 0, back[k].dead == 0
		left, leftBack, both = left || t, leftBack || b, both || t && b
	}
	return !left || leftBack && !both
}
