package monotime

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/testwait"
)

func TestNowGoesOnAtTheRateOfTime(t *testing.T) {
	// Bracketed by readings of another clock, so a slow moment between any two
	// of them cannot fail it.
	before := time.Now()
	from := Now()
	if from <= 0 {
		t.Fatalf("Now() = %v, want the time since boot", from)
	}
	after := time.Now()
	testwait.Real(5*time.Millisecond, "that both clocks measure")
	inner := time.Since(after)
	passed := Now().Sub(from)
	outer := time.Since(before)
	if passed < inner*9/10 || passed > outer*11/10+time.Millisecond {
		t.Errorf("Now went on by %v, want between %v and %v", passed, inner, outer)
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}
