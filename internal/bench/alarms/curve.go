package alarms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/arc-ring/arc/internal/bench"
	"github.com/arc-ring/arc/internal/bench/report"
)

// CurveOptions say which curves.
type CurveOptions struct {
	Options
	// Intervals of the leader's link, in milliseconds.
	Intervals []int
	// Realtime also measures processes under --realtime.
	Realtime bool
	// Loads under which it is measured.
	Loads []Load
}

// Curves are what Curve measured.
type Curves struct {
	report.Head
	// Nodes of each ring.
	Nodes int    `json:"nodes"`
	Cases []Case `json:"cases"`
}

// Case is one interval of the leader's link under one load.
type Case struct {
	IntervalMS int     `json:"interval_ms"`
	Load       Load    `json:"load"`
	Realtime   bool    `json:"realtime"`
	Seconds    float64 `json:"seconds"`
	Stalls     Stalls  `json:"stalls"`
	// Disturbed says what happened although nothing may: then the runs are not
	// of one link all the time.
	Disturbed []string `json:"disturbed,omitempty"`
	Runs      []Run    `json:"runs"`
	Points    []Point  `json:"points"`
}

// Point is what so many misses would have meant.
type Point struct {
	Misses int `json:"misses"`
	// DetectionMS is the longest that a silent leader goes unnoticed.
	DetectionMS int `json:"detection_ms"`
	// Raw are the false alarms of a monitor that does not know its own lag,
	// Alarms those of ARC's.
	Raw    int `json:"raw"`
	Alarms int `json:"alarms"`
}

// PerHour is what so many alarms in the case's time are in an hour.
func (c *Case) PerHour(alarms int) float64 { return float64(alarms) * 3600 / c.Seconds }

const (
	// neverSuspect is more misses than there are without a fault, and the most
	// that settings take.
	neverSuspect = 100
	// fewestPoints and mostPoints bound how many misses a curve tells about.
	fewestPoints = 4
	mostPoints   = 16
)

// points follows the curve until two misses more than the longest run.
func points(intervalMS int, runs []Run) []Point {
	var list []Point
	for misses := 1; misses <= mostPoints; misses++ {
		p := Point{Misses: misses, DetectionMS: intervalMS * (misses + 1)}
		for _, r := range runs {
			raw, corrected := r.raises(misses)
			if raw {
				p.Raw++
			}
			if corrected {
				p.Alarms++
			}
		}
		list = append(list, p)
		if misses >= fewestPoints && p.Raw == 0 {
			break
		}
	}
	return list
}

// Curve measures. It returns what it has, also when it was interrupted.
func Curve(ctx context.Context, o CurveOptions) (_ *Curves, err error) {
	r := &Curves{Head: report.Begin(o.Say), Nodes: o.Nodes}
	w, err := open(ctx, o.Options)
	if err != nil {
		return nil, err
	}
	defer func() {
		r.End()
		err = errors.Join(err, w.close())
	}()
	modes := []bool{false}
	if o.Realtime {
		modes = append(modes, true)
	}
	for _, realtime := range modes {
		if err := r.mode(ctx, w, o, realtime); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (r *Curves) mode(ctx context.Context, w *workshop, o CurveOptions, realtime bool) (err error) {
	b, err := w.ring(ctx, "lan", realtime)
	if err != nil {
		if realtime && ctx.Err() == nil {
			w.Say("skipped --realtime: %v", err)
			r.Skipped = append(r.Skipped, report.Skipped{System: "ARC", What: "--realtime", Why: err.Error()})
			return nil
		}
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for _, ms := range o.Intervals {
		// The lease stays that of the default profile: nobody takes over, whatever
		// a probe does.
		err := b.set(ctx, map[string]string{
			"leader_interval_ms": strconv.Itoa(ms), "leader_misses": strconv.Itoa(neverSuspect),
			"leader_grants": "false", "hang_after_ms": "0",
		})
		if err != nil {
			return fmt.Errorf("set the leader's link to %d ms: %w", ms, err)
		}
		for _, load := range o.Loads {
			c := Case{IntervalMS: ms, Load: load, Realtime: realtime}
			seen, stalls, err := w.under(ctx, b, load)
			if seen != nil {
				c.take(b, seen, stalls)
				r.Cases = append(r.Cases, c)
				w.Say("%s: %d runs of missed probes, the longest %d", c.name(), len(c.Runs), longest(c.Runs).Missed)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// under watches the ring, and the machine, under a load.
func (w *workshop) under(ctx context.Context, b *watchedRing, load Load) (seen *window, stalls Stalls, err error) {
	if load == Busy {
		fires, err := burn(ctx, w.Burner)
		if err != nil {
			return nil, Stalls{}, err
		}
		defer func() { err = errors.Join(err, fires.stop()) }()
		if err := bench.Pause(ctx, warmUp); err != nil {
			return nil, Stalls{}, err
		}
	}
	m := newMeter()
	seen, err = b.watch(ctx, w.For)
	return seen, m.end(), err
}

// take keeps the runs of the leader's link.
func (c *Case) take(b *watchedRing, w *window, stalls Stalls) {
	c.Seconds, c.Stalls = w.seconds(), stalls
	for _, a := range slices.Concat(w.evictions, w.leaders, w.suspicions) {
		c.Disturbed = append(c.Disturbed, a.What)
	}
	for _, m := range w.runs {
		if m.peer == b.leader && m.interval == time.Duration(c.IntervalMS)*time.Millisecond {
			c.Runs = append(c.Runs, m.Run)
		}
	}
	c.Points = points(c.IntervalMS, c.Runs)
}

func (c *Case) name() string { return fmt.Sprintf("%d ms, %s", c.IntervalMS, c.conditions()) }

func loadName(l Load) string {
	if l == Busy {
		return "all processors busy"
	}
	return "at rest"
}

func longest(runs []Run) (most Run) {
	for _, r := range runs {
		most.Missed, most.Counted = max(most.Missed, r.Missed), max(most.Counted, r.Counted)
	}
	return most
}
