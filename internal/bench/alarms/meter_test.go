package alarms

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/arc-ring/arc/internal/testwait"
)

// What it measures is the machine's affair; that it does, and leaves nothing
// behind, is not.
func TestTheMeterMeasuresAndEnds(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	parallel := runtime.GOMAXPROCS(0)
	began := time.Now()
	m := newMeter()
	if n := len(m.watchers); n == 0 || n != len(usable()) {
		t.Errorf("%d threads for %d processors", n, len(usable()))
	}
	testwait.Real(20*time.Millisecond, "that is measured")
	s := m.end()
	took := milliseconds(time.Since(began))
	if s.LongestMS <= 0 || s.LongestMS > took {
		t.Errorf("the longest time between wake-ups is %v ms of %v ms", s.LongestMS, took)
	}
	for _, l := range s.List {
		if l.MS > s.LongestMS || l.End.Before(began) || !slices.Contains(usable(), l.Processor) {
			t.Errorf("an impossible stall %+v in %v ms since %v, the longest %v ms", l, took, began, s.LongestMS)
		}
	}
	if now := runtime.GOMAXPROCS(0); now != parallel {
		t.Errorf("GOMAXPROCS is left at %d, was %d", now, parallel)
	}
}

func TestWhichWakeUpsAreStalls(t *testing.T) {
	w := &watcher{processor: 3, keep: 2}
	now := noon
	for _, ms := range []float64{0.6, 2, 2.1, 0.5, 30, 7} {
		next := now.Add(time.Duration(ms * float64(time.Millisecond)))
		w.awake(now, next)
		now = next
	}
	// Of three the oldest is forgotten.
	want := []Stall{{3, now, 7}, {3, now.Add(-7 * time.Millisecond), 30}}
	if !slices.Equal(w.stalls, want) || w.forgotten != 1 || w.longest != 30*time.Millisecond {
		t.Errorf("stalls %+v, %d forgotten, the longest %v; want %+v, 1, 30ms", w.stalls, w.forgotten, w.longest, want)
	}
}
