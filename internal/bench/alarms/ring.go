package alarms

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/bench"
	"github.com/arc-ring/arc/internal/devring"
	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Options say what is measured.
type Options struct {
	// Arc is the program; empty builds it.
	Arc string
	// Nodes of each ring, at least 2.
	Nodes int
	// For is how long each case is measured.
	For time.Duration
	// Logs is a directory that gets the logs of rings with false alarms; empty
	// keeps none.
	Logs string
	// Burner is a command that calls Burn.
	Burner []string
	// Say prints progress.
	Say func(format string, args ...any)
}

const (
	// formBound bounds how long a ring may take to form, and a change of its
	// settings.
	formBound = time.Minute
	// warmUp is for how long a ring is left alone after a change, before it is
	// measured.
	warmUp = 2 * time.Second
	// logTail is how much of a log explains a ring that does not form, in bytes.
	logTail = 400
)

// workshop holds what rings need, for one call of Curve or Profiles.
type workshop struct {
	Options
	dir string
}

func open(ctx context.Context, o Options) (*workshop, error) {
	dir, err := os.MkdirTemp("", "arc-al")
	if err != nil {
		return nil, err
	}
	w := &workshop{Options: o, dir: dir}
	if w.Arc != "" {
		return w, nil
	}
	w.Say("building arc")
	w.Arc = filepath.Join(dir, "arc")
	if err := bench.BuildArc(ctx, w.Arc); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *workshop) close() error { return os.RemoveAll(w.dir) }

// watchedRing is a running ring.
type watchedRing struct {
	*devring.Ring
	leader string
}

// ring starts a ring and waits until it is whole.
func (w *workshop) ring(ctx context.Context, profile string, realtime bool) (*watchedRing, error) {
	dir, err := os.MkdirTemp(w.dir, "r")
	if err != nil {
		return nil, err
	}
	args := []string{"--log-json"}
	if realtime {
		args = append(args, "--realtime")
	}
	r, err := devring.Start(devring.Options{
		Arc: w.Arc, Dir: dir, Nodes: w.Nodes, Profile: profile, LogLevel: "debug",
		Args: func(int) []string { return args },
	})
	if err != nil {
		return nil, err
	}
	b := &watchedRing{Ring: r}
	if err := b.settle(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("form a ring: %w\n%s", err, r.Node(1).LogTail(logTail)), r.Close())
	}
	return b, nil
}

// settle waits until the ring is whole, and then for a moment.
func (b *watchedRing) settle(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, formBound)
	defer cancel()
	// Of processes that ended, as without a right that they need, no ring forms.
	err := b.Until(within, "the first answers", func(ctx context.Context) error {
		for _, n := range b.Nodes() {
			if !n.Running() {
				cancel()
				return fmt.Errorf("%s has ended", n.Name())
			}
			if _, err := n.Status(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	st, err := b.AwaitRing(within)
	if err != nil {
		return err
	}
	b.leader = st.GetLeader().GetName()
	return bench.Pause(ctx, warmUp)
}

// set changes the ring's settings.
func (b *watchedRing) set(ctx context.Context, changes map[string]string) error {
	c, err := b.Named(b.leader).Client()
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, formBound)
	defer cancel()
	if _, err := c.SetSettings(within, changes); err != nil {
		return err
	}
	return bench.Pause(ctx, warmUp)
}

// window is what happened in a while.
type window struct {
	said
	began, ended time.Time
	// Members evicted, terms declared, and who lost a claim: what each node
	// says of itself, or all of them say of the ring, once.
	evictions, leaders, losses []Alarm
	// lost is how long claims were lost, by when each node's own word was heard;
	// lostAt is set while a node's is.
	lost   time.Duration
	lostAt map[string]time.Time
}

func (w *window) seconds() float64 { return w.ended.Sub(w.began).Seconds() }

// watch lets the ring run for a while. What was seen is returned also when ctx
// ended.
func (b *watchedRing) watch(ctx context.Context, d time.Duration) (*window, error) {
	offsets := map[string]int64{}
	for _, n := range b.Nodes() {
		info, err := os.Stat(n.LogFile())
		if err != nil {
			return nil, err
		}
		offsets[n.Name()] = info.Size()
	}
	mark, began := b.Mark(), time.Now()
	interrupted := bench.Pause(ctx, d)
	// Empty lists, not null, in the results.
	w := &window{
		said: said{suspicions: []Alarm{}}, began: began, ended: time.Now(),
		evictions: []Alarm{}, leaders: []Alarm{}, losses: []Alarm{}, lostAt: map[string]time.Time{},
	}
	for _, e := range b.Since(mark) {
		w.see(e)
	}
	for _, n := range b.Nodes() {
		if err := w.read(n.Name(), n.LogFile(), offsets[n.Name()]); err != nil {
			return nil, err
		}
	}
	return w, interrupted
}

// keepLogs copies the logs of all nodes.
func (b *watchedRing) keepLogs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var errs []error
	for _, n := range b.Nodes() {
		text, err := os.ReadFile(n.LogFile())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, n.Name()+".log"), text, 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (w *window) see(e observe.Event) {
	var at time.Time
	if e.GetTime() != nil {
		at = e.GetTime().AsTime()
	}
	once := func(list *[]Alarm, what string) {
		if !slices.ContainsFunc(*list, func(a Alarm) bool { return a.What == what }) {
			*list = append(*list, Alarm{At: at, What: what})
		}
	}
	switch d := e.GetDetail().(type) {
	case *arcv1.Event_Evicted:
		once(&w.evictions, fmt.Sprintf("%s evicted in epoch %d", e.Node, e.Epoch))
	case *arcv1.Event_LeaderDeclared:
		once(&w.leaders, fmt.Sprintf("%s declared in term %d", e.Node, e.Term))
	case *arcv1.Event_ClaimLost:
		if e.Node == e.By {
			w.losses = append(w.losses, Alarm{At: at, What: fmt.Sprintf("%s lost its claim in term %d: %s", e.Node, e.Term, d.ClaimLost.GetWhy())})
			w.lostAt[e.Node] = e.At
		}
	case *arcv1.Event_ClaimGained:
		if at, lost := w.lostAt[e.Node]; lost && e.Node == e.By {
			w.lost += e.At.Sub(at)
			delete(w.lostAt, e.Node)
		}
	}
}
