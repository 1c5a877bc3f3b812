package alarms

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/bench"
	"github.com/arc-ring/arc/internal/bench/report"
)

func TestWhatARunWouldHaveRaised(t *testing.T) {
	for _, c := range []struct {
		run            Run
		misses         int
		raw, corrected bool
	}{
		{Run{1, 1}, 1, true, true},
		{Run{1, 0}, 1, true, false},
		{Run{2, 2}, 3, false, false},
		{Run{5, 2}, 3, true, false},
		{Run{5, 3}, 3, true, true},
		// The monitor's own lag hides a silence only so long.
		{Run{11, 0}, 3, true, false},
		{Run{12, 0}, 3, true, true},
	} {
		if raw, corrected := c.run.raises(c.misses); raw != c.raw || corrected != c.corrected {
			t.Errorf("%+v with %d misses: raw %v corrected %v, want %v %v", c.run, c.misses, raw, corrected, c.raw, c.corrected)
		}
	}
}

func TestPointsFollowTheCurveToItsEnd(t *testing.T) {
	got := points(2, []Run{{1, 1}, {1, 0}, {6, 2}})
	want := []Point{{1, 4, 3, 2}, {2, 6, 1, 1}, {3, 8, 1, 0}, {4, 10, 1, 0}, {5, 12, 1, 0}, {6, 14, 1, 0}, {7, 16, 0, 0}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := points(30, nil); len(got) != fewestPoints || got[3] != (Point{Misses: 4, DetectionMS: 150}) {
		t.Errorf("of a clean link %+v", got)
	}
	if got := points(1, []Run{{90, 90}}); len(got) != mostPoints {
		t.Errorf("%d points of a link that is hardly there, want %d", len(got), mostPoints)
	}
}

func TestLogsAreReadToTheLastWholeLine(t *testing.T) {
	text := `{"@level":"debug","@message":"answered after missed probes","@module":"monitor","peer":"n1","interval":2000000,"missed":3,"counted":2,"elapsed":7100000}
panic: nothing of ours
{"@level":"warn","@message":"suspected","@module":"monitor","@timestamp":"2026-11-22T09:47:15.102240Z","peer":"n2","reason":"3 probes in a row unanswered, silent for 7.8ms"}
{"@level":"warn","@message":"suspected","@module":"coordinator","peer":"n3"}
{"@level":"debug","@message":"answered after missed probes","@module":"monitor","peer":"n1"`
	var s said
	if err := s.take("n5", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if want := []missed{{Run{3, 2}, "n1", 2 * time.Millisecond}}; !slices.Equal(s.runs, want) {
		t.Errorf("runs %+v, want %+v", s.runs, want)
	}
	want := []Alarm{{At: time.Date(2026, 11, 22, 9, 47, 15, 102_240_000, time.UTC), What: "n5 suspected n2: 3 probes in a row unanswered, silent for 7.8ms"}}
	if !slices.Equal(s.suspicions, want) {
		t.Errorf("suspicions %v, want %v", s.suspicions, want)
	}
}

func TestWhenALineWasWritten(t *testing.T) {
	for text, want := range map[string]time.Time{
		`"2026-11-22T09:47:15.102240Z"`:      time.Date(2026, 11, 22, 9, 47, 15, 102_240_000, time.UTC),
		`"2026-11-22T11:47:15.102240+02:00"`: time.Date(2026, 11, 22, 9, 47, 15, 102_240_000, time.UTC),
		`"quarter to ten"`:                   {},
		`""`:                                 {},
	} {
		var s said
		log := `{"@message":"suspected","@module":"monitor","@timestamp":` + text + `,"peer":"n2","reason":"gone"}` + "\n"
		if err := s.take("n1", strings.NewReader(log)); err != nil {
			t.Fatal(err)
		}
		if len(s.suspicions) != 1 || !s.suspicions[0].At.Equal(want) {
			t.Errorf("of %s %v, want one suspicion at %v", text, s.suspicions, want)
		}
	}
}

// It shows as a run of that length, and, as its promises live, nothing happens
// to it.
func TestALeaderThatIsStoppedForAMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs a ring of three nodes for some seconds")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*formBound)
	defer cancel()
	w, err := open(ctx, Options{Nodes: 3, For: 2 * time.Second, Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	b, err := w.ring(ctx, "lan", false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := b.set(ctx, map[string]string{"leader_interval_ms": "20", "leader_misses": "100", "lease_ms": "3000"}); err != nil {
		t.Fatal(err)
	}
	seen := watchStopped(ctx, t, w, b)
	c := Case{IntervalMS: 20, Load: Rest}
	c.take(b, seen, Stalls{})
	if len(c.Disturbed) > 0 {
		t.Errorf("the ring was disturbed: %q", c.Disturbed)
	}
	// On a busy machine the monitor is late too, and some are excused.
	if most := longest(c.Runs); most.Missed < 10 || most.Counted < 5 {
		t.Errorf("the longest of %d runs is %+v, want about 30 of 20 ms in 600 ms", len(c.Runs), most)
	}

	dir := t.TempDir()
	if err := report.Write(dir, io.Discard, &Curves{Head: report.Begin(w.Say), Nodes: 3, Cases: []Case{c}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"report.svg": "false alarms per hour", "report.md": "| 20 ms | 2 |"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s lacks %q (%v)", name, want, err)
		}
	}

	// With few misses it is suspected for it, and that is all.
	if err := b.set(ctx, map[string]string{"leader_misses": "2"}); err != nil {
		t.Fatal(err)
	}
	seen = watchStopped(ctx, t, w, b)
	if len(seen.suspicions) == 0 {
		t.Error("a leader that was stopped for 30 intervals was not suspected after 2 misses")
	}
	if got := slices.Concat(seen.evictions, seen.leaders, seen.losses); len(got) > 0 {
		t.Errorf("a leader whose promises live was disturbed: %v", got)
	}
}

// watchStopped watches a ring whose leader is stopped for 0.6 s.
func watchStopped(ctx context.Context, t *testing.T, w *workshop, b *watchedRing) *window {
	t.Helper()
	stopped := make(chan error, 1)
	go func() {
		leader := b.Named(b.leader)
		stopped <- errors.Join(leader.Signal(syscall.SIGSTOP), bench.Pause(ctx, 600*time.Millisecond), leader.Signal(syscall.SIGCONT))
	}()
	seen, err := b.watch(ctx, w.For)
	if err := errors.Join(err, <-stopped); err != nil {
		t.Fatal(err)
	}
	return seen
}
