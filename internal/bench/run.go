package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/bench/report"
	"github.com/arc-ring/arc/internal/foreign"
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
	// Within is how long the whole run shall take, 0 for as long as it does. What
	// does not fit is left out, and the results say so; Least trials of each fault
	// are made of all that is begun.
	Within time.Duration
	// Labs is how many labs of a system whose failovers take seconds are measured
	// side by side at most; 0 and 1 measure everything alone.
	Labs int
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

// Longer reasons are cut in the results, in bytes.
const longestWhy = 4000

type runner struct {
	Options
	installer *installer
	results   *Results
	skipped   map[string]bool // systems whose programs are missing
	ready     map[string]programs
	waited    time.Duration // for the machine to be quiet
}

// Run measures. It returns what it has, also when it was interrupted.
func Run(ctx context.Context, o Options) (*Results, error) {
	temp, err := os.MkdirTemp("", "arc-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	r := &runner{
		Options: o, results: &Results{Head: report.Begin(o.Say)},
		installer: &installer{cache: o.Cache, say: o.Say, offline: o.Offline, arc: o.Arc, temp: temp},
		skipped:   map[string]bool{}, ready: map[string]programs{},
	}
	err = r.all(ctx)
	r.results.End()
	return r.results, errors.Join(err, o.Save(r.results))
}

func (r *runner) all(ctx context.Context) error {
	chosen := Choose(r.Only)
	for _, s := range chosen { // all that takes processor time comes first
		p, err := s.provide(ctx, r.installer)
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
	p := r.plan(chosen)
	for p.next < len(p.errands) {
		e := p.errands[p.next]
		began := time.Now()
		whole, err := r.errand(ctx, p, e)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, errDenied) {
			return err
		}
		if err != nil {
			r.skip(e.system, fmt.Sprintf("%d hosts", e.hosts), err.Error())
		}
		p.done(time.Since(began), whole)
		if err := r.Save(r.results); err != nil {
			return err
		}
	}
	return nil
}

// errand measures one system on one number of hosts. It is whole if all that
// was to be measured was.
func (r *runner) errand(ctx context.Context, p *plan, e errand) (whole bool, err error) {
	if r.skipped[e.system.ID] {
		return false, nil
	}
	if e.system.MaxHosts != 0 && e.hosts > e.system.MaxHosts {
		return false, errors.New(e.system.Why)
	}
	end, ok := p.until(time.Now())
	if !ok {
		return false, fmt.Errorf("the time was over, --within %v", r.Within)
	}
	r.Say("%s on %d hosts: about %s for this, then %s", e.system.ID, e.hosts, roughly(p.expected(e)), roughly(p.after()))
	c := r.series(e.system, e.hosts)
	c.end, c.rest = end, p.after()
	err = c.run(ctx)
	return err == nil && c.whole(), err
}

func (r *runner) skip(s System, what, why string) {
	r.Say("%s, %s, is skipped: %s", s.ID, what, why)
	r.results.Skipped = append(r.results.Skipped, report.Skipped{System: s.ID, What: what, Why: foreign.Cut(why, longestWhy)})
}
