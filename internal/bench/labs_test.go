package bench

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/bench/report"
	"github.com/arc-ring/arc/internal/netlab"
)

// sleepers are a daemon that does nothing: the lowest host with a living process
// is the leader, and all know at once.
type sleepers struct {
	env   *trialEnv
	mu    sync.Mutex
	alive map[int]bool
	procs map[int]*netlab.Process
}

func (d *sleepers) change(host int, alive bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alive[host] = alive
	living := numbered(d.alive)
	for _, h := range d.env.numbers() {
		d.env.timeline.Act(h, len(living) > 0 && h == living[0])
		if len(living) > 0 {
			d.env.timeline.See(h, living[0])
		}
	}
}

func (d *sleepers) start(h *netlab.Host) error {
	p := d.env.run(h, programs{Path: "/bin/sleep"}, []string{"1000"}, nil)
	d.procs[h.Number()] = p
	d.change(h.Number(), true)
	go func() { // ends with the process, which ends with the lab
		<-p.Done()
		d.change(h.Number(), false)
	}()
	return nil
}

func (d *sleepers) unready() string                      { return unreadyProcs(d.env, d.procs) }
func (d *sleepers) mortal(h *netlab.Host) []netlab.Found { return h.Find("sleep") }
func (d *sleepers) mend(*netlab.Host) error              { return nil }

func (d *sleepers) close() {}

// All trials are made, once each, in as many labs as are allowed.
func TestSideBySide(t *testing.T) {
	var mu sync.Mutex
	opened := 0
	s := System{
		ID: "sleep/on", Name: "sleep", Rest: time.Millisecond, Period: time.Millisecond,
		Takes: always(time.Second), Patience: always(10 * time.Second),
		begin: func(e *trialEnv, _ programs) daemon {
			mu.Lock()
			defer mu.Unlock()
			opened++
			return &sleepers{env: e, alive: map[int]bool{}, procs: map[int]*netlab.Process{}}
		},
	}
	r := &runner{
		Options: Options{Faults: []string{"kill"}, Trials: 9, Labs: 3, Hosts: []int{3}, Say: t.Logf},
		results: &Results{Head: report.Head{Began: time.Now()}}, ready: map[string]programs{},
	}
	p := r.plan([]System{s})
	whole, err := r.errand(t.Context(), p, p.errands[0])
	if errors.Is(err, errDenied) {
		t.Skipf("needs root, to make network namespaces: %v", err)
	}
	if err != nil || !whole {
		t.Fatalf("whole is %v: %v", whole, err)
	}
	if len(r.results.Failover) != 1 || len(r.results.Skipped) != 0 {
		t.Fatalf("measured %+v, skipped %+v", r.results.Failover, r.results.Skipped)
	}
	f := r.results.Failover[0]
	if len(f.First) != 9 || len(f.Failed) != 0 || f.Labs < 1 || f.Labs > 3 || opened > f.Labs {
		t.Errorf("%d trials, %q failed, %d labs of which %d were opened; want 9 in up to 3, each opened once", len(f.First), f.Failed, f.Labs, opened)
	}

	// One that never settles does not outlast its context.
	never := s
	never.begin = func(e *trialEnv, p programs) daemon {
		return &unsettled{sleepers{env: e, alive: map[int]bool{}, procs: map[int]*netlab.Process{}}}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := r.errand(ctx, p, errand{system: never, hosts: 3}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

type unsettled struct{ sleepers }

func (*unsettled) unready() string { return "never" }
