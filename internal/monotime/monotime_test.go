package monotime

import (
	"testing"
	"time"
)

func TestNowGoesOnAtTheRateOfTime(t *testing.T) {
	from, start := Now(), time.Now()
	if from <= 0 {
		t.Fatalf("Now() = %v, want the time since boot", from)
	}
	// Bracketed by two readings of another clock, so a slow moment cannot
	// fail it.
	time.Sleep(5 * time.Millisecond)
	inner := time.Since(start)
	passed := Now() - from
	outer := time.Since(start)
	if passed < inner*9/10 || passed > outer*11/10+time.Millisecond {
		t.Errorf("Now went on by %v, want between %v and %v", passed, inner, outer)
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}
