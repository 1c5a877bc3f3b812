package rate

import (
	"testing"
	"time"
)

// allowed is how many of n the source is allowed at the moment.
func allowed[S comparable](l *Limiter[S], now time.Time, source S, n int) (yes int) {
	for range n {
		if l.Allow(now, source) {
			yes++
		}
	}
	return yes
}

func TestOneSourceAndAll(t *testing.T) {
	now := time.Unix(1, 0)
	l := Limiter[string]{Each: 10, All: 25, Most: 4}
	for _, step := range []struct {
		after  time.Duration
		source string
		want   int
	}{
		{0, "a", 10}, {0, "a", 0}, {0, "b", 10},
		{0, "c", 5}, // all together have had 25
		{100 * time.Millisecond, "a", 1}, {0, "b", 1},
		{0, "c", 0},            // all together may do two in that time
		{time.Minute, "a", 10}, // no more than a second's worth is saved up
	} {
		now = now.Add(step.after)
		if got := allowed(&l, now, step.source, 100); got != step.want {
			t.Errorf("%v: %s was allowed %d, want %d", now.Sub(time.Unix(1, 0)), step.source, got, step.want)
		}
	}
}

func TestNoBoundOfAll(t *testing.T) {
	l := Limiter[int]{Each: 2, Most: 100}
	for source := range 100 {
		if got := allowed(&l, time.Unix(1, 0), source, 3); got != 2 {
			t.Errorf("source %d was allowed %d, want 2", source, got)
		}
	}
}

// Forged sources take no memory beyond the bound, and quiet ones make room.
func TestSourcesAreBounded(t *testing.T) {
	now := time.Unix(1, 0)
	l := Limiter[int]{Each: 5, Most: 10}
	for source := range 1000 {
		if got, want := l.Allow(now, source), source < 10; got != want {
			t.Errorf("source %d is allowed: %v", source, got)
		}
	}
	if len(l.sources) != 10 {
		t.Errorf("%d sources are remembered", len(l.sources))
	}
	if !l.Allow(now, 3) {
		t.Error("a source that was there before is refused")
	}
	if now = now.Add(time.Second); !l.Allow(now, 1000) {
		t.Error("a source is refused although all others are quiet")
	}
}
