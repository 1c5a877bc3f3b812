package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/netlab"
)

// Options say what a run measures.
type Options struct {
	// Only lists systems by ID or by the part before its slash; empty means all.
	Only []string
	// Hosts are the sizes, each 3 or more.
	Hosts []int
	// Faults by name.
	Faults []string
	// Trials of each fault. A case ends early when CaseTime (if not 0) is over
	// and Least trials were made.
	Trials   int
	CaseTime time.Duration
	Least    int
	// Idle is for how long the cost is watched, 0 for not at all; IdleHosts are
	// the sizes at which it is.
	Idle      time.Duration
	IdleHosts []int
	// Cuts is how often the leader is cut off with a minority of 5, 0 for never.
	Cuts int
	// RealDisk keeps the hosts' files on this machine's disk, which they then
	// share; else each host has one of its own, in memory.
	RealDisk bool
	// Arc is the binary to measure; empty to build it.
	Arc string
	// Cache is the directory for fetched programs; Offline forbids fetching.
	Cache   string
	Offline bool
	// Say gets the progress, a line at a time.
	Say func(format string, args ...any)
	// Save is called after each case with all that is known so far.
	Save func(*Results) error
}

const (
	cutHosts   = 5
	settleWait = 60 * time.Second
	// A case is given up after so many trials in a row without a result.
	failuresInARow = 2
	// What a host's disk in memory holds: etcd sets 64 MB aside for each file of
	// its log.
	diskBytes = 512 << 20
	// A case that takes longer than this says how far it is.
	tellEvery = 30 * time.Second
	// Longer reasons are cut in the results, in bytes.
	longestWhy = 4000
)

type runner struct {
	Options
	shelf   *shelf
	results *Results
	skipped map[string]bool // systems whose programs are missing
	ready   map[string]programs
}

// Run measures. It returns what it has, also when it was interrupted.
func Run(ctx context.Context, o Options) (*Results, error) {
	began := time.Now()
	temp, err := os.MkdirTemp("", "arc-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	r := &runner{
		Options: o, results: &Results{Version: 1, Began: began, Programs: map[string]string{}},
		shelf:   &shelf{cache: o.Cache, say: o.Say, offline: o.Offline, arc: o.Arc, temp: temp},
		skipped: map[string]bool{}, ready: map[string]programs{},
	}
	r.results.Machine = machine()
	if load := r.results.Machine.LoadBefore; load > 0.5 {
		o.Say("the load average is %.1f: the figures will be worth little", load)
	}
	err = r.all(ctx)
	r.results.TookSeconds = time.Since(began).Seconds()
	return r.results, errors.Join(err, o.Save(r.results))
}

func machine() Machine {
	m := Machine{Cores: runtime.NumCPU()}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			m.LoadBefore, _ = strconv.ParseFloat(fields[0], 64)
		}
	}
	return m
}

func (r *runner) all(ctx context.Context) error {
	chosen := Choose(r.Only)
	for _, s := range chosen { // all that takes processor time comes first
		p, err := s.provide(ctx, r.shelf)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.skip(s, "all", err.Error())
			r.skipped[s.ID] = true
			continue
		}
		r.ready[s.ID] = p
		r.results.Programs[s.Name] = p.Version
		if len(p.Args) > 0 {
			r.results.Programs[s.ID] = "with " + strings.Join(p.Args, " ")
		}
	}
	for _, n := range r.Hosts {
		for _, s := range chosen {
			if r.skipped[s.ID] {
				continue
			}
			if s.MaxHosts != 0 && n > s.MaxHosts {
				r.skip(s, fmt.Sprintf("%d hosts", n), s.Why)
				continue
			}
			err := r.one(ctx, s, n)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, errDenied) {
				return err
			}
			if err != nil {
				r.skip(s, fmt.Sprintf("%d hosts", n), err.Error())
			}
			if err := r.Save(r.results); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *runner) skip(s System, what, why string) {
	r.Say("%s, %s, is skipped: %s", s.ID, what, why)
	if len(why) > longestWhy {
		why = why[:longestWhy] + " …"
	}
	r.results.Skipped = append(r.results.Skipped, Skipped{System: s.ID, What: what, Why: why})
}

// one measures one system on n hosts.
func (r *runner) one(ctx context.Context, s System, n int) error {
	st := &stage{say: r.Say}
	defer st.end()
	return st.do(func() error {
		lab := netlab.Options{Hosts: n, DiskBytes: diskBytes}
		if r.RealDisk {
			lab.DiskBytes = 0
		}
		b := &bed{ledger: NewLedger(nil), lab: netlab.New(st, lab), tails: map[int]*tail{}}
		b.hosts = b.lab.Hosts()
		d := s.begin(b, r.ready[s.ID])
		st.Cleanup(d.close)
		for _, h := range b.hosts {
			if err := d.start(h); err != nil {
				return fmt.Errorf("start it on %s: %w", h, err)
			}
		}
		c := &course{runner: r, system: s, bed: b, daemon: d}
		began := time.Now()
		if _, err := c.settle(ctx); err != nil {
			return err
		}
		r.Say("%s on %d hosts is settled after %.1f s", s.ID, n, time.Since(began).Seconds())
		return c.run(ctx)
	})
}

// course is all that is measured on one bed.
type course struct {
	*runner
	system System
	bed    *bed
	daemon daemon
}

func (c *course) run(ctx context.Context) error {
	n := len(c.bed.hosts)
	if c.Idle > 0 && slices.Contains(c.IdleHosts, n) {
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		cost, err := c.bed.cost(ctx, c.Idle)
		if err != nil {
			return err
		}
		cost.System = c.system.ID
		c.results.Costs = append(c.results.Costs, cost)
		c.Say("%s on %d hosts at rest: %.2f s of processor time a minute, %.0f bytes/s sent and %.1f MiB resident per node",
			c.system.ID, n, cost.CPUPerMinute, cost.SentPerNode, cost.ResidentPerNode/(1<<20))
	}
	for _, f := range Faults {
		if !slices.Contains(c.Faults, f.Name) {
			continue
		}
		if err := c.failover(ctx, f); err != nil {
			return err
		}
	}
	if c.Cuts > 0 && n == cutHosts && !c.system.Leaderless {
		return c.minority(ctx)
	}
	return nil
}

// settle waits until all is well, and returns the leader.
func (c *course) settle(ctx context.Context) (*netlab.Host, error) {
	for end := time.Now().Add(settleWait); ; {
		why := c.daemon.unready()
		if why == "" {
			leader := c.bed.ledger.Agreed(c.bed.numbers())
			if leader != nobody {
				return c.bed.lab.Host(leader), nil
			}
			why = "the hosts do not agree on a leader"
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("not settled within %v: %s; the daemons said:\n%s", settleWait, why, c.bed.says())
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// rested waits until all is well and has been for a while, and returns the
// leader. The moment falls anywhere in the rhythm of whatever the daemons do.
func (c *course) rested(ctx context.Context) (*netlab.Host, error) {
	for range 20 {
		if _, err := c.settle(ctx); err != nil {
			return nil, err
		}
		since := time.Now()
		if err := pause(ctx, c.system.Rest+time.Duration(rand.Int64N(int64(c.system.Period)+1))); err != nil {
			return nil, err
		}
		if leader := c.bed.ledger.Agreed(c.bed.numbers()); leader != nobody && c.bed.ledger.changes(since) == 0 {
			return c.bed.lab.Host(leader), nil
		}
	}
	return nil, errors.New("it does not come to rest")
}

func (c *course) failover(ctx context.Context, f Fault) error {
	n := len(c.bed.hosts)
	name := fmt.Sprintf("%s, %d hosts, %s", c.system.ID, n, f.Name)
	result := Failover{System: c.system.ID, Hosts: n, Fault: f.Name}
	began, told := time.Now(), time.Now()
	inARow := 0
	for i := 0; i < c.Trials && inARow < failuresInARow; i++ {
		if c.CaseTime > 0 && i >= c.Least && time.Since(began) > c.CaseTime {
			break
		}
		if time.Since(told) > tellEvery {
			told = time.Now()
			c.Say("%s: %d of %d trials", name, i, c.Trials)
		}
		took, err := c.trial(ctx, f)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			inARow++
			result.Failed = append(result.Failed, err.Error())
			c.Say("%s: trial %d failed: %v", name, i+1, err)
			continue
		}
		inARow = 0
		result.First = append(result.First, milliseconds(took.first))
		result.All = append(result.All, milliseconds(took.all))
	}
	c.results.Failover = append(c.results.Failover, result)
	first, all := result.First.Summarize(), result.All.Summarize()
	if first.N > 0 {
		c.Say("%s: first %.1f ms, all %.1f ms (medians of %d), worst %.1f", name, first.Median, all.Median, first.N, all.Max)
	}
	if inARow == failuresInARow {
		return fmt.Errorf("%s: given up after %d failures in a row, the last: %s", f.Name, inARow, result.Failed[len(result.Failed)-1])
	}
	return ctx.Err()
}

// trial lets the fault happen once to the leader.
func (c *course) trial(ctx context.Context, f Fault) (times, error) {
	leader, err := c.rested(ctx)
	if err != nil {
		return times{}, err
	}
	survivors := without(c.bed.numbers(), leader.Number())
	if f.Again == 0 {
		return c.strike(ctx, f, leader, survivors)
	}
	if _, err := c.strike(ctx, f, leader, survivors); err != nil {
		return times{}, fmt.Errorf("the first time: %w", err)
	}
	if err := pause(ctx, f.Again); err != nil {
		return times{}, err
	}
	second := c.bed.ledger.Agreed(survivors)
	if second == nobody || second == leader.Number() {
		return times{}, fmt.Errorf("%v after the cable of %s is back the others do not agree on another leader", f.Again, leader)
	}
	// Who has just come back is not judged.
	return c.strike(ctx, f, c.bed.lab.Host(second), without(survivors, second))
}

// without is the list less one.
func without(list []int, n int) []int {
	return slices.DeleteFunc(slices.Clone(list), func(m int) bool { return m == n })
}

// strike lets the fault happen, and undoes it when all survivors know the next
// leader.
func (c *course) strike(ctx context.Context, f Fault, leader *netlab.Host, survivors []int) (times, error) {
	happen, undo := f.prepare(c.bed, c.daemon, leader)
	// All that is not measured is done by now; neither shall the collector of
	// this program's garbage run in between.
	runtime.GC()
	c.bed.ledger.Forget(time.Now())

	began := time.Now()
	happen()
	first, all, err := c.await(ctx, began, survivors, leader.Number())
	if err := undo(); err != nil {
		return times{}, fmt.Errorf("undo %s: %w", f.Name, err)
	}
	if err != nil {
		return times{}, err
	}
	return times{first: first.Sub(began), all: all.Sub(began)}, nil
}

// await waits until all survivors know the next leader.
func (c *course) await(ctx context.Context, began time.Time, survivors []int, victim int) (first, all time.Time, err error) {
	limit := c.system.Patience(len(c.bed.hosts))
	for {
		first, all, _, ok := c.bed.ledger.Known(began, survivors, victim)
		if ok {
			return first, all, nil
		}
		if time.Since(began) > limit {
			return first, all, fmt.Errorf("no new leader that all know within %v", limit)
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return first, all, err
		}
	}
}
