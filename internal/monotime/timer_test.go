package monotime

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/arc-ring/arc/internal/mono"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTimer(t testing.TB) *Timer {
	t.Helper()
	timer, err := NewTimer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(timer.Close)
	return timer
}

func await(t testing.TB, timer *Timer) mono.Instant {
	t.Helper()
	select {
	case <-timer.C:
		timer.Fired()
		return Now()
	case <-time.After(20 * time.Second):
		t.Fatal("the moment never came")
		return 0
	}
}

func TestTimerComesNotBeforeItsMoment(t *testing.T) {
	timer := newTimer(t)
	for _, d := range []time.Duration{0, -time.Hour, 10 * time.Microsecond, time.Millisecond, 15 * time.Millisecond} {
		at := Now().Add(d)
		timer.At(at)
		if now := await(t, timer); now < at {
			t.Errorf("set %v ahead, it came %v early", d, at.Add(time.Duration(-now)))
		}
	}
	// The same moment again.
	at := Now()
	for range 2 {
		timer.At(at)
		await(t, timer)
	}
}

func TestTimerIsReplaced(t *testing.T) {
	timer := newTimer(t)
	timer.At(Now().Add(time.Hour))
	at := Now().Add(time.Millisecond)
	timer.At(at)
	if now := await(t, timer); now < at {
		t.Errorf("it came %v early", at.Add(time.Duration(-now)))
	}
	timer.At(Now().Add(5 * time.Millisecond))
	timer.At(mono.Never)
	late := Now().Add(10 * time.Millisecond)
	other := newTimer(t)
	other.At(late)
	await(t, other)
	select {
	case <-timer.C:
		// A slow machine may have taken more than 5 ms to switch it off.
		t.Log("it came although it was switched off")
	default:
	}
}

// BenchmarkTimer tells how late the timers come that are set 2 ms ahead.
func BenchmarkTimer(b *testing.B) {
	report := func(b *testing.B, late time.Duration) {
		b.ReportMetric(float64(late.Microseconds())/float64(b.N), "µs-late/op")
	}
	b.Run("Timer", func(b *testing.B) {
		timer, late := newTimer(b), time.Duration(0)
		for b.Loop() {
			at := Now().Add(2 * time.Millisecond)
			timer.At(at)
			<-timer.C
			timer.Fired()
			late += Now().Sub(at)
		}
		report(b, late)
	})
	b.Run("runtime", func(b *testing.B) {
		timer, late := time.NewTimer(time.Hour), time.Duration(0)
		for b.Loop() {
			at := Now().Add(2 * time.Millisecond)
			timer.Reset(2 * time.Millisecond)
			<-timer.C
			late += Now().Sub(at)
		}
		report(b, late)
	})
}
