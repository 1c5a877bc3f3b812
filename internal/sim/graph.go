package sim

import "math/rand/v2"

// graphCuts is which directions a graph leaves out, by the fault's number.
func (s *Sim) graphCuts(number int) (pairs [][2]int) {
	r := rand.New(rand.NewPCG(uint64(number), 28)) // #nosec G115 -- not negative
	k := len(s.nodes)
	place := r.Perm(k) // of each machine
	shape := r.IntN(6)
	odds := 0.1 + 0.5*r.Float64()
	open := func(i, j int) bool {
		a, b := place[i], place[j]
		switch shape {
		case 0: // star: the first sees all, the others see only it
			return a == 0 || b == 0
		case 1: // chain: each sees the one before it and the one after it
			return a-b == 1 || b-a == 1
		case 2: // bridge: two sides, and one that sees both
			return a == 0 || b == 0 || a%2 == b%2
		case 3: // one that only one other sees
			return a != 0 && b != 0 || a == 1 || b == 1
		}
		return r.Float64() >= odds
	}
	for i := range k {
		for j := range i {
			there := open(i, j)
			back := there
			if shape == 5 { // each direction for itself
				back = open(j, i)
			}
			if !there {
				pairs = append(pairs, [2]int{i, j})
			}
			if !back {
				pairs = append(pairs, [2]int{j, i})
			}
		}
	}
	s.stats.count([...]string{"graph: star", "graph: chain", "graph: bridge", "graph: one sees only one", "graph: in part", "graph: in part, by direction"}[shape], 1)
	return pairs
}
