package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

var (
	// errUnanswered is the error of a trial after which the hosts may be as good
	// as before.
	errUnanswered = errors.New("no new leader that all know")
	// errMoved is the error of a trial before which the leader changed by itself.
	errMoved = errors.New("the leader changed right before the fault")
)

// outcome is what a trial measured.
type outcome struct {
	// From the fault until the first survivor knew the next leader, and all.
	first, all time.Duration
	// How long two acted as leaders in a cut, and how long that lasted.
	both, cutFor time.Duration
}

// trial lets the fault happen once to the leader.
func (e *trialEnv) trial(ctx context.Context, f Fault) (outcome, error) {
	const attempts = 5
	for i := 1; ; i++ {
		o, err := e.attempt(ctx, f)
		if i == attempts || !errors.Is(err, errMoved) {
			return o, err
		}
	}
}

func (e *trialEnv) attempt(ctx context.Context, f Fault) (outcome, error) {
	leader, err := e.rested(ctx)
	if err != nil {
		return outcome{}, err
	}
	hosts := e.numbers()
	survivors := without(hosts, leader.Number())
	if f.Again == 0 {
		return e.strike(ctx, f, leader, hosts, survivors)
	}
	if _, err := e.strike(ctx, f, leader, hosts, survivors); err != nil {
		return outcome{}, fmt.Errorf("the first time: %w", err)
	}
	if err := Pause(ctx, f.Again); err != nil {
		return outcome{}, err
	}
	second := e.timeline.Agreed(survivors)
	if second == nobody || second == leader.Number() {
		return outcome{}, fmt.Errorf("%v after the cable of %s is back the others do not agree on another leader", f.Again, leader)
	}
	// A host that has just come back is not judged.
	return e.strike(ctx, f, e.lab.Host(second), survivors, without(survivors, second))
}

// without is the list less one.
func without(list []int, n int) []int {
	return slices.DeleteFunc(slices.Clone(list), func(m int) bool { return m == n })
}

// strike lets the fault happen, and undoes it when all survivors know the next
// leader. Before, all believers have to take the victim for the leader.
func (e *trialEnv) strike(ctx context.Context, f Fault, leader *netlab.Host, believers, survivors []int) (outcome, error) {
	happen, undo := f.prepare(e, leader)
	// All that is not measured is done by now; neither shall the collector of
	// this program's garbage run in between.
	runtime.GC()
	e.timeline.Forget(time.Now())
	// What changes without a fault is no failover: who was on the way to another
	// leader while this was prepared would be there too soon.
	if e.timeline.Agreed(believers) != leader.Number() {
		return outcome{}, errMoved
	}

	began := time.Now()
	happen()
	first, all, err := e.await(ctx, began, survivors, leader.Number())
	count(&e.spent.striking, began)
	defer count(&e.spent.mending, time.Now())
	if err := undo(); err != nil {
		return outcome{}, fmt.Errorf("undo %s: %w", f.Name, err)
	}
	if err != nil {
		return outcome{}, err
	}
	return outcome{first: first.Sub(began), all: all.Sub(began)}, nil
}

// await waits until all survivors know the next leader.
func (e *trialEnv) await(ctx context.Context, began time.Time, survivors []int, victim int) (first, all time.Time, err error) {
	n := len(e.hosts)
	limit, every := e.system.Patience(n), look(e.system.Takes(n), 2*time.Millisecond)
	for {
		first, all, _, ok := e.timeline.Known(began, survivors, victim)
		if ok {
			return first, all, nil
		}
		if time.Since(began) > limit {
			return first, all, fmt.Errorf("%w within %v", errUnanswered, limit)
		}
		if err := Pause(ctx, every); err != nil {
			return first, all, err
		}
	}
}
