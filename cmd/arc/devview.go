package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/devring"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// saidKept bounds the memory of which events were shown already.
const saidKept = 2048

// devView turns what all nodes say into what a person sees.
type devView struct {
	f *factory
	r *devring.Ring
	// revive is after how long a dead node is started again; 0 is never.
	revive time.Duration
	// said holds what was shown, oldest first: every node tells the same events.
	said []*happening
	// died is when a node's coordinator was first seen gone, stopped whether it was
	// stopped when it was last seen.
	died    map[*devring.Node]time.Time
	stopped map[*devring.Node]bool
	ring    *arcv1.StatusResponse
}

// happening is an event, or what this process has seen itself, in the picture.
type happening struct {
	at         time.Time
	kind, node string
	by         []string // the names of the nodes that say it
	text       string
	key        string // the same for all nodes that say it; empty if this process has seen it
}

func newDevView(f *factory, r *devring.Ring, revive time.Duration) *devView {
	return &devView{f: f, r: r, revive: revive, died: map[*devring.Node]time.Time{}, stopped: map[*devring.Node]bool{}}
}

// live shows the ring until ctx ends, which is no error.
func (f *factory) live(ctx context.Context, r *devring.Ring, after time.Duration) error {
	v := newDevView(f, r, after)
	if err := v.form(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	tick := time.Tick(durations.Redraw)
	for mark := 0; ; {
		events, next, news := r.News(mark)
		mark = next
		if err := errors.Join(v.show(events), v.tend(), v.draw(ctx)); err != nil {
			return err
		}
		if v.f.terminal {
			news = nil // it is drawn at each tick, not at every event of a storm
		}
		select {
		case <-tick:
		case <-news:
		case <-ctx.Done():
			return v.farewell()
		}
	}
}

func (v *devView) form(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, durations.RingForms)
	defer cancel()
	v.f.note("starting %s of ring %s below %s", devring.Count(len(v.r.Nodes()), "node"), v.r.Cluster(), v.r.Dir())
	start := time.Now()
	st, err := v.r.AwaitRing(ctx)
	if err != nil {
		return fmt.Errorf("the ring does not form: %w", err)
	}
	v.ring = st
	v.f.note("formed in %s: %s", devring.Ms(time.Since(start)), devring.Picture(st))
	if v.f.terminal {
		return nil
	}
	for _, n := range v.r.Nodes() {
		v.f.note("%-4s look: arc --addr %s status   kill: kill -9 %d", n.Name(), n.Addr(), n.PID())
	}
	v.f.note("%s", v.comesBack())
	return nil
}

// comesBack says how a killed node comes back.
func (v *devView) comesBack() string {
	if v.revive > 0 {
		return fmt.Sprintf("a killed node is started again after %v", v.revive)
	}
	return "a killed node stays dead; arc dev --revive 5s would start it again"
}

// show takes in new events, and prints them where nothing is redrawn. What several
// nodes say in the same words is one event.
func (v *devView) show(events []observe.Event) error {
	for _, ev := range events {
		if ev.GetSnapshot() != nil {
			continue
		}
		text := details(ev.Event)
		key := fmt.Sprintf("%s %s %d %d%s", ev.Type(), ev.GetNode(), ev.GetTerm(), ev.GetEpoch(), text)
		if kind := ev.Type(); kind == "joined" || kind == "leader_declared" {
			// A newcomer tells what it caught up on in its own epoch.
			key = kind + " " + ev.GetNode() + text
		}
		if i := slices.IndexFunc(v.said, func(h *happening) bool { return h.key == key }); i >= 0 {
			if h := v.said[i]; !slices.Contains(h.by, ev.By) {
				h.by = append(h.by, ev.By)
			}
			continue
		}
		v.add(&happening{ev.GetTime().AsTime(), ev.Type(), ev.GetNode(), []string{ev.By}, essence(ev.Event), key})
		if v.redraws() {
			continue
		}
		if err := v.f.print(ev.Event, func(w io.Writer) { line(w, "%s  said_by=%s", eventText(ev.Event), ev.By) }); err != nil {
			return err
		}
	}
	return nil
}

// redraws reports whether there is a picture.
func (v *devView) redraws() bool { return v.f.terminal && !v.f.json }

func (v *devView) add(h *happening) {
	if v.said = append(v.said, h); len(v.said) > saidKept {
		v.said = v.said[1:]
	}
}

// own tells what this process has seen of a node.
func (v *devView) own(kind string, n *devring.Node, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if v.redraws() {
		v.add(&happening{time.Now().UTC(), kind, n.Name(), []string{"arc dev"}, text, ""})
		return
	}
	v.f.note("%s: %s", n.Name(), text)
}

// tend notes who was stopped and who died, and starts a node again that is dead for
// so long.
func (v *devView) tend() error {
	for _, n := range v.r.Nodes() {
		if n.Running() {
			delete(v.died, n)
			if is := n.Stopped(); is != v.stopped[n] {
				if v.stopped[n] = is; is {
					v.own("stopped", n, "its coordinator is stopped; its monitor kills it after %v", time.Duration(v.ring.GetSettings().GetHangAfterMs())*time.Millisecond)
				} else {
					v.own("continued", n, "its coordinator goes on")
				}
			}
			continue
		}
		since, known := v.died[n]
		if !known {
			since = time.Now()
			v.died[n] = since
			how := n.Ended()
			if v.stopped[n] {
				how += ", while it was stopped: its monitor does that"
			}
			delete(v.stopped, n)
			v.own("ended", n, "its coordinator has ended, %s; see %s", how, filepath.Join(n.Name(), filepath.Base(n.LogFile())))
		}
		if v.revive > 0 && time.Since(since) >= v.revive {
			if err := n.Start(); err != nil {
				return err
			}
			v.own("started", n, "started again, pid %d", n.PID())
		}
	}
	return nil
}

// running returns the nodes that run, the leader first.
func (v *devView) running() []*devring.Node {
	nodes := v.r.Running()
	leads := func(n *devring.Node) bool { return n.Name() == v.ring.GetLeader().GetName() }
	if i := slices.IndexFunc(nodes, leads); i > 0 {
		nodes[0], nodes[i] = nodes[i], nodes[0]
	}
	return nodes
}

// ask refreshes the ring from the first node that answers.
func (v *devView) ask(ctx context.Context) {
	for _, n := range v.running() {
		ctx, cancel := context.WithTimeout(ctx, durations.Redraw)
		st, err := n.Status(ctx)
		cancel()
		if err == nil && len(st.GetMembers()) > 0 {
			v.ring = st
			return
		}
	}
}

// farewell says what was seen while the ring ran.
func (v *devView) farewell() error {
	bad := v.r.Violations()
	for _, x := range bad {
		v.f.note("BROKEN  %s", x)
	}
	if len(bad) > 0 {
		return devring.ErrBroken
	}
	v.f.note("ending all nodes; %s seen, tokens rose and no term had two leaders", devring.Count(v.r.Declared(), "leadership"))
	return nil
}
