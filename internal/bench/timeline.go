package bench

import (
	"slices"
	"sync"
	"time"
)

// nobody is the leader of a host that knows of none. Hosts count from 1.
const nobody = 0

// Timeline is what all hosts were seen to believe, in the order of this machine's
// one clock. Any goroutine may write to it.
type Timeline struct {
	mu      sync.Mutex
	now     func() time.Time
	views   map[int]int
	acts    map[int]bool
	entries []entry
}

// entry is one change of mind.
type entry struct {
	at   time.Time
	host int
	// act is set if the host began to act as the leader (on) or stopped; else it
	// takes leader for the leader from now.
	act    bool
	on     bool
	leader int
}

// NewTimeline makes an empty timeline. A nil clock is time.Now.
func NewTimeline(now func() time.Time) *Timeline {
	if now == nil {
		now = time.Now
	}
	return &Timeline{now: now, views: map[int]int{}, acts: map[int]bool{}}
}

// See notes that the host takes leader for the leader now.
func (l *Timeline) See(host, leader int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.views[host] == leader {
		return
	}
	l.views[host] = leader
	l.entries = append(l.entries, entry{at: l.now(), host: host, leader: leader})
}

// Act notes that the host acts as a leader from now, or does no longer.
func (l *Timeline) Act(host int, on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acts[host] == on {
		return
	}
	l.acts[host] = on
	l.entries = append(l.entries, entry{at: l.now(), host: host, act: true, on: on})
}

// Acts reports whether the host acts as a leader now.
func (l *Timeline) Acts(host int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acts[host]
}

// Acting returns who acts as a leader now, in order.
func (l *Timeline) Acting() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return numbered(l.acts)
}

// numbered are the hosts for which it is so, in order.
func numbered(hosts map[int]bool) []int {
	var list []int
	for host, so := range hosts {
		if so {
			list = append(list, host)
		}
	}
	slices.Sort(list)
	return list
}

// Agreed is the leader that all these hosts know now, or nobody.
func (l *Timeline) Agreed(hosts []int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.agreedLocked(hosts)
}

func (l *Timeline) agreedLocked(hosts []int) int {
	if len(hosts) == 0 {
		return nobody
	}
	leader := l.views[hosts[0]]
	for _, h := range hosts {
		if l.views[h] != leader {
			return nobody
		}
	}
	return leader
}

// Known tells when the survivors came to know the leader that they all know
// now: the first of them and the last. It is not ok while they disagree, know
// nobody, or still believe in the victim.
func (l *Timeline) Known(fault time.Time, survivors []int, victim int) (first, last time.Time, leader int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	leader = l.agreedLocked(survivors)
	if leader == nobody || leader == victim {
		return first, last, leader, false
	}
	learnt := map[int]time.Time{} // when a survivor turned to the leader, the last time
	for _, e := range l.entries {
		if e.act || e.at.Before(fault) || !slices.Contains(survivors, e.host) || e.leader != leader {
			continue
		}
		learnt[e.host] = e.at
		if first.IsZero() {
			first = e.at
		}
	}
	for _, h := range survivors {
		at, found := learnt[h]
		if !found {
			return first, last, leader, false // it believed so before the fault
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last, leader, true
}

// Overlap is how long at least two hosts acted as leaders between from and
// until.
func (l *Timeline) Overlap(from, until time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	acting := map[int]bool{}
	var sum time.Duration
	last := from
	count := func(at time.Time) {
		if at.After(until) {
			at = until
		}
		if at.Before(last) {
			return
		}
		if len(acting) > 1 {
			sum += at.Sub(last)
		}
		last = at
	}
	for _, e := range l.entries {
		if !e.act {
			continue
		}
		count(e.at)
		if e.on {
			acting[e.host] = true
		} else {
			delete(acting, e.host)
		}
	}
	count(until)
	return sum
}

// Forget drops what happened before t but for who believes and acts what now,
// so that the timeline of a long run stays small.
func (l *Timeline) Forget(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Acts are kept as if they began at t: Overlap needs them.
	acting := map[int]bool{}
	var rest []entry
	for _, e := range l.entries {
		switch {
		case !e.at.Before(t):
			rest = append(rest, e)
		case e.act && e.on:
			acting[e.host] = true
		case e.act:
			delete(acting, e.host)
		}
	}
	var kept []entry
	for host := range acting {
		kept = append(kept, entry{at: t, host: host, act: true, on: true})
	}
	slices.SortFunc(kept, func(a, b entry) int { return a.host - b.host })
	l.entries = append(kept, rest...)
}
