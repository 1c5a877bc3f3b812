package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	cutHosts = 5
	// A kind of trial is given up after so many in a row without a result.
	failuresInARow = 2
	// A series that takes longer says how far it is.
	tellEvery = 30 * time.Second
)

// series is all that is measured of one system on one number of hosts, in one
// lab or in several side by side.
type series struct {
	*runner
	system System
	hosts  int
	began  time.Time
	// end is when it has to end, unless zero, with the least number of trials
	// made in any case.
	end time.Time
	// asked is set if that end was asked for (CaseTime).
	asked bool
	// rest is about how long all the other series take.
	rest time.Duration

	mu    sync.Mutex // guards all below, and the runner's results
	kinds []*kind
	labs  int
	spent spent
	told  time.Time
}

// kind is one kind of trial.
type kind struct {
	name string
	// last kinds come after all others.
	last bool
	want int
	do   func(ctx context.Context, e *trialEnv) (outcome, error)

	begun, inARow int
	outcomes      []outcome
	failed        []string
}

func (k *kind) givenUp() bool { return k.inARow >= failuresInARow }

// series prepares what is measured of a system on n hosts.
func (r *runner) series(s System, n int) *series {
	c := &series{runner: r, system: s, hosts: n, began: time.Now(), labs: 1, told: time.Now()}
	for _, f := range Faults {
		if slices.Contains(r.Faults, f.Name) {
			c.kinds = append(c.kinds, &kind{name: f.Name, want: r.Trials, do: func(ctx context.Context, e *trialEnv) (outcome, error) {
				return e.trial(ctx, f)
			}})
		}
	}
	if cuts := r.cuts(s, n); cuts > 0 {
		c.kinds = append(c.kinds, &kind{name: cutName, last: true, want: cuts, do: func(ctx context.Context, e *trialEnv) (outcome, error) {
			return e.cut(ctx)
		}})
	}
	return c
}

func (c *series) String() string { return fmt.Sprintf("%s, %d hosts", c.system.ID, c.hosts) }

// run measures it all. What was measured until an error is kept.
func (c *series) run(ctx context.Context) error {
	if err := c.quiet(ctx); err != nil {
		return err
	}
	free, began := freeMemory(), time.Now()
	first, err := c.open(ctx, c.system, c.hosts)
	if err != nil {
		return err
	}
	c.Say("%s: settled after %.1f s", c, time.Since(began).Seconds())
	var atRest *Cost
	err = first.tb.do(func() error {
		if c.idleAt(c.hosts) {
			if atRest, err = c.idle(ctx, first); err != nil {
				return err
			}
		}
		c.labs, err = c.sideBySide(ctx, first, free, atRest)
		return err
	})
	if err != nil {
		first.close()
		return err
	}
	if c.labs > 1 {
		c.Say("%s: %s", c, beside(c.labs))
	}
	if c.CaseTime > 0 {
		if end := time.Now().Add(c.CaseTime * time.Duration(len(c.Faults))); c.end.IsZero() || end.Before(c.end) {
			c.end, c.asked = end, true
		}
	}
	var workers sync.WaitGroup
	for i := range c.labs {
		workers.Go(func() {
			if i == 0 {
				c.work(ctx, first)
			} else {
				c.work(ctx, nil)
			}
		})
	}
	workers.Wait()
	c.report(ctx.Err() != nil)
	return ctx.Err()
}

// idle watches the first environment before there is any other.
func (c *series) idle(ctx context.Context, e *trialEnv) (*Cost, error) {
	if err := Pause(ctx, time.Second); err != nil {
		return nil, err
	}
	cost, err := e.cost(ctx, c.Idle)
	if err != nil {
		return nil, err
	}
	cost.System = c.system.ID
	c.results.Costs = append(c.results.Costs, cost)
	c.Say("%s, at rest: %.2f s of processor time a minute, %.0f bytes/s sent and %.1f MiB resident per node",
		c, cost.CPUPerMinute, cost.SentPerNode, cost.ResidentPerNode/(1<<20))
	return &cost, nil
}

// left is how many trials are to be begun.
func (c *series) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, k := range c.kinds {
		if !k.givenUp() {
			n += k.want - k.begun
		}
	}
	return n
}

// whole reports whether every trial was made.
func (c *series) whole() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(c.kinds, func(k *kind) bool { return k.begun < k.want })
}

// take chooses the next trial: all kinds in turns, so that whatever the machine
// does meanwhile disturbs all alike. Nil if there is none.
func (c *series) take(now time.Time) *kind {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next *kind
	for _, k := range c.kinds {
		want := k.want
		if !c.end.IsZero() && now.After(c.end) {
			want = min(want, c.Least)
		}
		if k.begun >= want || k.givenUp() {
			continue
		}
		if next == nil || next.last && !k.last || next.last == k.last && k.begun < next.begun {
			next = k
		}
	}
	if next != nil {
		next.begun++
	}
	return next
}

// work makes trials in one environment, a new one if it is nil, until there is nothing
// left to do.
func (c *series) work(ctx context.Context, e *trialEnv) {
	defer func() {
		if e != nil {
			e.close()
			c.note(nil, e, outcome{}, nil)
		}
	}()
	for ctx.Err() == nil {
		k := c.take(time.Now())
		if k == nil {
			return
		}
		var o outcome
		var err error
		if e == nil {
			e, err = c.open(ctx, c.system, c.hosts)
		}
		if err == nil {
			err = e.tb.do(func() (err error) {
				o, err = k.do(ctx, e)
				return err
			})
		}
		if ctx.Err() != nil {
			return
		}
		c.note(k, e, o, err)
		// Whatever else went wrong, such hosts are not what they should be.
		if err != nil && !errors.Is(err, errUnanswered) && e != nil {
			e.close()
			e = nil
		}
	}
}

// note writes down what a trial found, and where the environment's time went.
func (c *series) note(k *kind, e *trialEnv, o outcome, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e != nil {
		c.spent.add(e.spent)
		e.spent = spent{}
	}
	if k == nil {
		return
	}
	if err != nil {
		k.inARow++
		k.failed = append(k.failed, err.Error())
		c.Say("%s, %s: trial %d failed: %v", c, k.name, len(k.outcomes)+len(k.failed), err)
	} else {
		k.inARow = 0
		k.outcomes = append(k.outcomes, o)
	}
	if time.Since(c.told) > tellEvery {
		c.told = time.Now()
		c.Say("%s: %s", c, c.progressLocked())
	}
}

// progressLocked says how many trials are over, and how long the run will still
// take if the others take as long.
func (c *series) progressLocked() string {
	over, all := 0, 0
	for _, k := range c.kinds {
		n := len(k.outcomes) + len(k.failed)
		over += n
		if k.givenUp() {
			all += n
		} else {
			all += k.want
		}
	}
	elapsed := time.Since(c.began)
	left := elapsed*time.Duration(all)/time.Duration(max(over, 1)) - elapsed
	if !c.end.IsZero() {
		left = min(left, max(time.Until(c.end), 0))
	}
	return fmt.Sprintf("%d of %d trials, about %s left for everything", over, all, roughly(left+c.rest))
}

// report adds what was measured to the results.
func (c *series) report(interrupted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var short []string
	for _, k := range c.kinds {
		if k.name == cutName {
			c.results.Cuts = append(c.results.Cuts, c.cutResult(k))
		} else {
			c.results.Failover = append(c.results.Failover, c.failoverResult(k))
		}
		switch {
		case k.givenUp():
			c.skip(c.system, fmt.Sprintf("%d hosts, %s", c.hosts, k.name),
				fmt.Sprintf("given up after %d failures in a row, the last: %s", k.inARow, k.failed[len(k.failed)-1]))
		case k.begun < k.want && !interrupted && !c.asked:
			short = append(short, fmt.Sprintf("%s %d of %d", k.name, k.begun, k.want))
		}
	}
	if len(short) > 0 {
		c.skip(c.system, fmt.Sprintf("%d hosts, all trials: %s", c.hosts, strings.Join(short, ", ")), fmt.Sprintf("they do not fit into --within %v", c.Within))
	}
	c.Say("%s: that took %.1f s (settling %.1f, resting %.1f, failing over %.1f, mending %.1f; %s)", c, time.Since(c.began).Seconds(),
		c.spent.settling.Seconds(), c.spent.resting.Seconds(), c.spent.striking.Seconds(), c.spent.mending.Seconds(), beside(c.labs))
}

func (c *series) failoverResult(k *kind) Failover {
	f := Failover{System: c.system.ID, Hosts: c.hosts, Fault: k.name, Failed: k.failed, Labs: c.labs}
	for _, o := range k.outcomes {
		f.First = append(f.First, milliseconds(o.first))
		f.All = append(f.All, milliseconds(o.all))
	}
	if first, all := f.First.Summarize(), f.All.Summarize(); first.N > 0 {
		c.Say("%s, %s: first %.1f ms, all %.1f ms (medians of %d), worst %.1f", c, k.name, first.Median, all.Median, first.N, all.Max)
	}
	return f
}

func (c *series) cutResult(k *kind) Cut {
	r := Cut{System: c.system.ID, Hosts: c.hosts, Failed: k.failed, Labs: c.labs}
	for _, o := range k.outcomes {
		r.Both = append(r.Both, milliseconds(o.both))
		r.CutFor = append(r.CutFor, milliseconds(o.cutFor))
		r.New = append(r.New, milliseconds(o.all))
	}
	if both := r.Both.Summarize(); both.N > 0 {
		c.Say("%s, leader in a minority: two leaders for %.1f ms (median of %d), at most %.1f", c, both.Median, both.N, both.Max)
	}
	return r
}
