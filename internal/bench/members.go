package bench

import "sync"

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

// change applies f and tells the timeline what it means on the host.
func (m *members) change(l *Timeline, host int, f func(m *members)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
	lowest := nobody
	if alive := numbered(m.alive); len(alive) > 0 {
		lowest = alive[0]
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
func (m *members) count() int { return len(m.list()) }

// list are they, in order.
func (m *members) list() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return numbered(m.alive)
}
