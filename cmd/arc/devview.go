package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/devring"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

const (
	// eventsShown is how many events the live picture has.
	eventsShown = 10
	// seenKept bounds the memory of which events were shown already.
	seenKept = 2048
)

// devView turns what all nodes say into what a person sees.
type devView struct {
	f    *factory
	r    *devring.Ring
	mark int
	// seen holds the events shown, oldest first in order: every node tells
	// the same ones.
	seen  map[string]bool
	order []string
	last  []*arcv1.Event
	// died is when a node's coordinator was first seen gone.
	died map[*devring.Node]time.Time
	ring *arcv1.StatusResponse
}

// live shows the ring until ctx ends, which is no error.
func (f *factory) live(ctx context.Context, r *devring.Ring, after time.Duration) error {
	v := &devView{f: f, r: r, seen: map[string]bool{}, died: map[*devring.Node]time.Time{}}
	if err := v.form(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	tick := time.NewTicker(durations.Redraw)
	defer tick.Stop()
	for {
		events, next, news := r.News(v.mark)
		v.mark = next
		if err := errors.Join(v.show(events), v.revive(after), v.draw(ctx)); err != nil {
			return err
		}
		select {
		case <-tick.C:
			continue
		case <-news:
		case <-ctx.Done():
			return v.farewell()
		}
		if v.f.terminal {
			select { // not at every event of a storm
			case <-tick.C:
			case <-ctx.Done():
				return v.farewell()
			}
		}
	}
}

func (v *devView) form(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, durations.RingForms)
	defer cancel()
	v.f.note("starting %d nodes of ring %s below %s", len(v.r.Nodes()), v.r.Cluster(), v.r.Dir())
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
	return nil
}

// show takes in new events, and prints them where nothing is redrawn.
func (v *devView) show(events []observe.Event) error {
	for _, ev := range events {
		if ev.GetSnapshot() != nil {
			continue
		}
		text := details(ev.Event)
		key := fmt.Sprintf("%s %s %d %d%s", ev.Type(), ev.GetNode(), ev.GetTerm(), ev.GetEpoch(), text)
		switch ev.Type() {
		case "joined", "leader_declared":
			// A newcomer tells what it caught up on in its own epoch.
			key = ev.Type() + " " + ev.GetNode() + text
		}
		if v.seen[key] {
			continue
		}
		v.seen[key] = true
		if v.order = append(v.order, key); len(v.order) > seenKept {
			delete(v.seen, v.order[0])
			v.order = v.order[1:]
		}
		if v.last = append(v.last, ev.Event); len(v.last) > eventsShown {
			v.last = v.last[1:]
		}
		if v.f.terminal && !v.f.json {
			continue
		}
		if err := v.f.print(ev.Event, func(w io.Writer) { eventLine(w, ev.Event) }); err != nil {
			return err
		}
	}
	return nil
}

// revive notes who died, and starts a node again that is dead for so long.
func (v *devView) revive(after time.Duration) error {
	for _, n := range v.r.Nodes() {
		if n.Running() {
			delete(v.died, n)
			continue
		}
		since, known := v.died[n]
		if !known {
			since = time.Now()
			v.died[n] = since
			if !v.f.terminal {
				v.f.note("%s: its coordinator has ended", n.Name())
			}
		}
		if after > 0 && time.Since(since) >= after {
			if err := n.Start(); err != nil {
				return err
			}
			if !v.f.terminal {
				v.f.note("%s: started again, pid %d", n.Name(), n.PID())
			}
		}
	}
	return nil
}

// draw paints the terminal afresh.
func (v *devView) draw(ctx context.Context) error {
	if !v.f.terminal || v.f.json {
		return nil
	}
	v.ask(ctx)
	// Home, and no wrapping of long lines; each line is cleared to its end as
	// it is written.
	screen := "\x1b[?7l\x1b[H" + strings.ReplaceAll(foreign.Lines(v.picture()), "\n", "\x1b[K\n") + "\x1b[J\x1b[?7h"
	_, err := io.WriteString(v.f.out, screen)
	return err
}

// picture is the text of the live picture.
func (v *devView) picture() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ring %s of %d nodes below %s, Ctrl-C ends it\n\n", v.r.Cluster(), len(v.r.Nodes()), v.r.Dir())
	fmt.Fprintf(&b, "%s\n", devring.Picture(v.ring))
	line(&b, "leader %s*  next %s+  token %d  epoch %d", or(v.ring.GetLeader().GetName()), or(v.ring.GetHeir()), v.ring.GetTerm(), v.ring.GetEpoch())
	b.WriteString("\n")
	v.table(&b)
	b.WriteString("\nlast events\n")
	for _, ev := range v.last {
		eventLine(&b, ev)
	}
	if running := v.running(); len(running) > 0 {
		n := running[0]
		fmt.Fprintf(&b, "\nlook   arc --addr %s status\nkill   kill -9 %d\n", n.Addr(), n.PID())
	}
	return b.String()
}

// running returns the nodes that run, the leader first.
func (v *devView) running() []*devring.Node {
	nodes := v.r.Running()
	for i, n := range nodes {
		if n.Name() == v.ring.GetLeader().GetName() {
			nodes[0], nodes[i] = nodes[i], nodes[0]
		}
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

func (v *devView) table(w io.Writer) {
	byName := map[string]*arcv1.MemberStatus{}
	for _, m := range v.ring.GetMembers() {
		byName[m.GetName()] = m
	}
	var lines [][]string
	for _, n := range v.r.Nodes() {
		monitor := "-"
		if pid, err := n.MonitorPID(); err == nil && n.Running() {
			monitor = fmt.Sprint(pid)
		}
		line := []string{n.Name(), "-", "-", "-", "-", "not a member", fmt.Sprint(n.PID()), monitor, n.Addr()}
		if m := byName[n.Name()]; m != nil {
			line[1], line[2], line[3], line[4], line[5] = number(m.GetId()), or(m.GetMonitors()), voteOf(m), roleOf(v.ring, m), stateOf(m)
		}
		if !n.Running() {
			line[6] = "dead"
		}
		lines = append(lines, line)
	}
	rows(w, "NODE ID MONITORS VOTE ROLE STATE PID MONITOR-PID ADDR", lines)
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
	v.f.note("ending all nodes; %s seen, tokens rose and no term had two leaders", leaderships(v.r.Declared()))
	return nil
}

func leaderships(n int) string {
	if n == 1 {
		return "1 leadership"
	}
	return fmt.Sprintf("%d leaderships", n)
}
