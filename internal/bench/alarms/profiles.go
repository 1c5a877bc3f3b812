package alarms

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/arc-ring/arc/internal/bench/report"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// ProfilesOptions say which profiles.
type ProfilesOptions struct {
	Options
	// AtRest and Busy are the profiles watched under each load. "realtime" is
	// run with --realtime.
	AtRest, Busy []string
	// Together runs the rings of one load all at the same time.
	Together bool
}

// Quiet is what Profiles saw.
type Quiet struct {
	report.Head
	// Nodes of each ring.
	Nodes    int       `json:"nodes"`
	Together bool      `json:"together"`
	Watched  []Watched `json:"watched"`
}

// Watched is one ring that was left alone. Everything in its lists is a false
// alarm.
type Watched struct {
	Profile   string  `json:"profile"`
	Load      Load    `json:"load"`
	Seconds   float64 `json:"seconds"`
	Stalls    Stalls  `json:"stalls"`
	Evictions []Alarm `json:"evictions"`
	Leaders   []Alarm `json:"leader_changes"`
	// Suspicions of all monitors, also those that led to nothing.
	Suspicions []Alarm `json:"suspicions"`
	// Losses are moments in which the leader could not claim.
	Losses []Alarm `json:"claim_losses"`
	// LostMS is how long those lasted in all that the same node made good.
	LostMS float64 `json:"claim_lost_ms"`
	// Longest is the longest run of missed probes on the leader's link.
	Longest Run `json:"longest_run"`
	// Misses is how many would have been a suspicion there.
	Misses int `json:"misses"`
	// ReachMS is the longest that a silent leader goes unnoticed. An alarm is
	// beside a stall that overlaps the time from so long before it to 5 ms after
	// it.
	ReachMS int `json:"reach_ms"`
	// Beside is how many of the alarms are beside a stall.
	Beside int `json:"beside"`
	// BesidePercent is in how much of the time any alarm would be: with a small
	// share, and many beside, it is no coincidence.
	BesidePercent float64 `json:"beside_percent"`
}

// Alarms is how many false alarms there were.
func (w *Watched) Alarms() int {
	return len(w.Evictions) + len(w.Leaders) + len(w.Suspicions) + len(w.Losses)
}

// Alarms is the sum over all rings.
func (q *Quiet) Alarms() (n int) {
	for _, w := range q.Watched {
		n += w.Alarms()
	}
	return n
}

// Beside is how many of Alarms are beside a stall.
func (q *Quiet) Beside() (n int) {
	for _, w := range q.Watched {
		n += w.Beside
	}
	return n
}

// Err is the verdict: nil if there were no alarms.
func (q *Quiet) Err() error {
	if n := q.Alarms(); n > 0 {
		return fmt.Errorf("%d false alarms, %d of them not beside a stall of the machine", n, n-q.Beside())
	}
	return nil
}

// Profiles watches. It returns what it has, also when it was interrupted.
func Profiles(ctx context.Context, o ProfilesOptions) (_ *Quiet, err error) {
	q := &Quiet{Head: report.Begin(o.Say), Nodes: o.Nodes, Together: o.Together}
	w, err := open(ctx, o.Options)
	if err != nil {
		return nil, err
	}
	defer func() {
		q.End()
		err = errors.Join(err, w.close())
	}()
	for _, l := range []struct {
		load     Load
		profiles []string
	}{{Rest, o.AtRest}, {Busy, o.Busy}} {
		groups := [][]string{l.profiles}
		if !o.Together {
			groups = nil
			for _, p := range l.profiles {
				groups = append(groups, []string{p})
			}
		}
		for _, g := range groups {
			if len(g) == 0 {
				continue
			}
			seen, err := w.together(ctx, g, l.load)
			q.Watched = append(q.Watched, seen...)
			if err != nil {
				return q, err
			}
		}
	}
	return q, nil
}

// together watches a ring of each profile, all at the same time. Rings are
// formed before the load begins, and one after the other.
func (w *workshop) together(ctx context.Context, profiles []string, load Load) (_ []Watched, err error) {
	var rings []*watchedRing
	defer func() {
		for _, b := range rings {
			err = errors.Join(err, b.Close())
		}
	}()
	list := make([]Watched, len(profiles))
	for i, p := range profiles {
		list[i] = Watched{Profile: p, Load: load}
		b, err := w.ring(ctx, p, p == "realtime")
		if err != nil {
			return nil, fmt.Errorf("profile %s: %w", p, err)
		}
		rings = append(rings, b)
		st, err := b.Named(b.leader).Status(ctx)
		if err != nil {
			return nil, err
		}
		list[i].know(st.GetSettings())
	}
	if load == Busy {
		fires, err := burn(ctx, w.Burner)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, fires.stop()) }()
	}
	w.Say("watching %s %s for %v", strings.Join(profiles, ", "), loadName(load), w.For)
	errs := make([]error, len(rings))
	saw := make([]*window, len(rings))
	m := newMeter()
	var wg sync.WaitGroup
	for i, b := range rings {
		wg.Go(func() {
			saw[i], errs[i] = b.watch(ctx, w.For)
		})
	}
	wg.Wait()
	stalls := m.end()
	for i := range list {
		l := &list[i]
		if saw[i] != nil {
			l.take(rings[i], saw[i], stalls)
		}
		w.Say("%s %s: %d false alarms, %d of them beside a stall", l.Profile, loadName(l.Load), l.Alarms(), l.Beside)
		if l.Alarms() > 0 && w.Logs != "" {
			errs = append(errs, rings[i].keepLogs(filepath.Join(w.Logs, fmt.Sprintf("%s-%s", l.Profile, l.Load))))
		}
	}
	return list, errors.Join(errs...)
}

// know keeps what of the ring's settings says what an alarm is.
func (w *Watched) know(s *arcv1.Settings) {
	w.Misses = int(s.GetLeaderMisses())
	w.ReachMS = int(s.GetLeaderIntervalMs()) * (w.Misses + 1)
}

func (w *Watched) take(b *watchedRing, seen *window, stalls Stalls) {
	w.Seconds, w.Stalls = seen.seconds(), stalls
	w.Evictions, w.Leaders, w.Suspicions, w.Losses = seen.evictions, seen.leaders, seen.suspicions, seen.losses
	w.LostMS = float64(seen.lost.Microseconds()) / 1000
	reach := time.Duration(w.ReachMS) * time.Millisecond
	for _, alarms := range [][]Alarm{w.Evictions, w.Leaders, w.Suspicions, w.Losses} {
		w.Beside += stalls.compare(alarms, reach)
	}
	w.BesidePercent = 100 * stalls.share(seen.began, seen.ended, reach)
	var runs []Run
	for _, m := range seen.runs {
		if m.peer == b.leader {
			runs = append(runs, m.Run)
		}
	}
	w.Longest = longest(runs)
}
