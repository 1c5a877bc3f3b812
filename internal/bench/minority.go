package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

const (
	// cutName is the kind of trial that cut is.
	cutName = "cut"
	// watchedAfter is how long the cut lasts after the majority knows its leader.
	watchedAfter = 2 * time.Second
)

// cut cuts the leader off with a minority, and watches how long two act as
// leaders.
func (e *trialEnv) cut(ctx context.Context) (outcome, error) {
	leader, err := e.rested(ctx)
	if err != nil {
		return outcome{}, err
	}
	others := slices.DeleteFunc(slices.Clone(e.hosts), func(h *netlab.Host) bool { return h == leader })
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	few := min((len(e.hosts)-1)/2, len(others))
	minority, majority := append([]*netlab.Host{leader}, others[:few-1]...), others[few-1:]
	var numbers []int
	for _, h := range majority {
		numbers = append(numbers, h.Number())
	}
	e.timeline.Forget(time.Now())
	began := time.Now()
	e.lab.Partition(minority, majority)
	_, all, err := e.await(ctx, began, numbers, leader.Number())
	if err == nil {
		err = Pause(ctx, watchedAfter)
	}
	healed := time.Now()
	o := outcome{all: all.Sub(began), both: e.timeline.Overlap(began, healed), cutFor: healed.Sub(began)}
	count(&e.spent.striking, began)
	defer count(&e.spent.mending, healed)
	e.lab.Heal()
	for _, h := range e.hosts {
		if err := e.daemon.mend(h); err != nil {
			return outcome{}, fmt.Errorf("mend %s: %w", h, err)
		}
	}
	return o, err
}
