package bench

import (
	"slices"
	"sync"
)

// members is what a host knows of the others in a system that has no leader.
// The lowest number among them stands for one, so that "the next leader" means
// that the failure is known.
type members struct {
	mu    sync.Mutex
	alive map[int]bool
	// quorate is false in a minority of a system that counts.
	quorate bool
}

func newMembers() *members { return &members{alive: map[int]bool{}, quorate: true} }

// change applies f and tells the ledger what it means on the host.
func (m *members) change(l *Ledger, host int, f func(m *members)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
	lowest := nobody
	for n, alive := range m.alive {
		if alive && (lowest == nobody || n < lowest) {
			lowest = n
		}
	}
	l.Act(host, m.quorate && lowest == host)
	l.See(host, lowest)
}

// set makes exactly these the members.
func (m *members) set(list []int) {
	clear(m.alive)
	for _, n := range list {
		m.alive[n] = true
	}
}

// count is how many members the host knows.
func (m *members) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, alive := range m.alive {
		if alive {
			n++
		}
	}
	return n
}

// list are they, in order.
func (m *members) list() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []int
	for n, alive := range m.alive {
		if alive {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}
