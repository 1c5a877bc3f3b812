package durations

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := Backoff{First: 5 * time.Millisecond, Longest: 500 * time.Millisecond}
	for n, want := range map[int]time.Duration{-1: 0, 0: 0, 1: 5 * time.Millisecond, 2: 10 * time.Millisecond, 7: 320 * time.Millisecond, 8: b.Longest, 1 << 40: b.Longest} {
		if got := b.Pause(n); got != want {
			t.Errorf("after %d failures %v, want %v", n, got, want)
		}
	}
}
