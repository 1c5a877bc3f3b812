package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// watchedAfter is how long the cut lasts after the majority knows its leader.
const watchedAfter = 2 * time.Second

// minority cuts the leader off with one other, and watches how long two act as
// leaders.
func (c *course) minority(ctx context.Context) error {
	result := Cut{System: c.system.ID, Hosts: len(c.bed.hosts)}
	for i := range c.Cuts {
		err := c.cut(ctx, &result)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.Say("%s: cut %d failed: %v", c.system.ID, i+1, err)
			result.Failed = append(result.Failed, err.Error())
			break
		}
	}
	c.results.Cuts = append(c.results.Cuts, result)
	both := result.Both.Summarize()
	c.Say("%s, leader in a minority: two leaders for %.1f ms (median of %d), at most %.1f", c.system.ID, both.Median, both.N, both.Max)
	return nil
}

func (c *course) cut(ctx context.Context, result *Cut) error {
	leader, err := c.rested(ctx)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(c.bed.hosts), func(h *netlab.Host) bool { return h == leader })
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	few := min((len(c.bed.hosts)-1)/2, len(others))
	minority, majority := append([]*netlab.Host{leader}, others[:few-1]...), others[few-1:]
	var numbers []int
	for _, h := range majority {
		numbers = append(numbers, h.Number())
	}
	c.bed.ledger.Forget(time.Now())
	began := time.Now()
	c.bed.lab.Partition(minority, majority)
	_, all, err := c.await(ctx, began, numbers, leader.Number())
	if err == nil {
		err = pause(ctx, watchedAfter)
	}
	healed := time.Now()
	both := c.bed.ledger.Overlap(began, healed)
	c.bed.lab.Heal()
	for _, h := range c.bed.hosts {
		if err := c.daemon.mend(h); err != nil {
			return fmt.Errorf("mend %s: %w", h, err)
		}
	}
	if err != nil {
		return err
	}
	result.Both = append(result.Both, milliseconds(both))
	result.CutFor = append(result.CutFor, milliseconds(healed.Sub(began)))
	result.New = append(result.New, milliseconds(all.Sub(began)))
	return nil
}
