package bench

import (
	"fmt"
	"slices"
	"time"
)

// errand is one system on one number of hosts, and about how long its trials
// take by what is known beforehand, and what comes before them.
type errand struct {
	system         System
	hosts          int
	before, trials time.Duration
}

// plan knows what is still to be measured, about how long that takes, and how
// long the next errand may take.
type plan struct {
	errands []errand
	next    int
	// within is when the run shall be over, the zero time for whenever it is.
	within time.Time
	// pace is by how much the trials of a system's last errand took longer than
	// was guessed.
	pace map[string]float64
}

// plan lists what is to be measured, in order.
func (r *runner) plan(systems []System) *plan {
	p := &plan{pace: map[string]float64{}}
	if r.Within > 0 {
		p.within = r.results.Began.Add(r.Within)
	}
	for _, n := range r.Hosts {
		for _, s := range systems {
			p.errands = append(p.errands, r.guess(s, n))
		}
	}
	return p
}

// guess makes the errand of a system on n hosts.
func (r *runner) guess(s System, n int) errand {
	e := errand{system: s, hosts: n}
	if r.skipped[s.ID] || s.MaxHosts != 0 && n > s.MaxHosts {
		return e
	}
	const form, again = 2 * time.Second, 300 * time.Millisecond
	trials := r.Trials * len(r.Faults)
	each := s.Takes(n)*5/4 + s.Rest + s.Period/2 + again
	sum := time.Duration(trials) * each
	if limit := r.CaseTime * time.Duration(len(r.Faults)); limit > 0 {
		sum = min(sum, limit)
	}
	if cuts := r.cuts(s, n); cuts > 0 {
		trials += cuts
		sum += time.Duration(cuts) * (each + watchedAfter)
	}
	e.trials = sum / time.Duration(r.estimated(s, n, trials).labs())
	e.before = form + s.Takes(n)
	if r.idleAt(n) {
		e.before += r.Idle + time.Second
	}
	return e
}

// expected is how long an errand takes, at the pace of the same system before.
func (p *plan) expected(e errand) time.Duration {
	pace, known := p.pace[e.system.ID]
	if !known {
		pace = 1
	}
	return e.before + time.Duration(pace*float64(e.trials))
}

// after is about how long everything takes that comes after the next errand.
func (p *plan) after() time.Duration {
	var sum time.Duration
	for _, e := range p.errands[min(p.next+1, len(p.errands)):] {
		sum += p.expected(e)
	}
	return sum
}

// until is when the next errand has to end: it may use up all the slack, but
// leaves the others what they need, or their share if there is not enough for
// all. It is not ok if the time is over.
func (p *plan) until(now time.Time) (end time.Time, ok bool) {
	if p.within.IsZero() {
		return time.Time{}, true
	}
	left := p.within.Sub(now)
	if left <= 0 {
		return time.Time{}, false
	}
	mine, others := p.expected(p.errands[p.next]), p.after()
	share := float64(left) * float64(mine) / float64(max(mine+others, 1))
	return now.Add(max(left-others, time.Duration(share))), true
}

// done notes how long the next errand took, and goes on to the one after it.
// The pace is unknown of one that was not measured to its end.
func (p *plan) done(took time.Duration, whole bool) {
	e := p.errands[p.next]
	if whole && e.trials > 0 {
		p.pace[e.system.ID] = float64(max(took-e.before, 0)) / float64(e.trials)
	}
	p.next++
}

// roughly prints a time that is left.
func roughly(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%d s", int(max(d, 5*time.Second).Round(10*time.Second).Seconds()))
	}
	return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
}

// idleAt reports whether the cost at rest of n hosts is measured.
func (o *Options) idleAt(n int) bool { return o.Idle > 0 && slices.Contains(o.IdleHosts, n) }

// cuts is how often the leader of n hosts is cut off with a minority.
func (o *Options) cuts(s System, n int) int {
	if n != cutHosts || s.Leaderless {
		return 0
	}
	return o.Cuts
}
