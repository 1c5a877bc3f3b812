package monitor

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
)

// The origin of a signal follows from the times of links and signals.
func TestSignalOrigin(t *testing.T) {
	const ms = time.Millisecond
	type at struct {
		what string
		when time.Duration
	}
	for name, c := range map[string]struct {
		story     []at
		operators int
	}{
		"a link and its signal":                     {[]at{{"link", 10 * ms}, {"signal", 11 * ms}, {"", time.Second}}, 0},
		"a signal that overtakes its link":          {[]at{{"signal", 10 * ms}, {"", 10*ms + durations.DoorbellWait - 1}, {"link", 10*ms + durations.DoorbellWait - 1}, {"", time.Second}}, 0},
		"a signal that is almost too late":          {[]at{{"link", 10 * ms}, {"signal", 10*ms + durations.DoorbellBelongs - 1}, {"", time.Second}}, 0},
		"a signal alone":                            {[]at{{"signal", 10 * ms}, {"", 10*ms + durations.DoorbellWait}, {"", time.Second}}, 1},
		"a signal long after a link without one":    {[]at{{"link", 10 * ms}, {"signal", 10*ms + durations.DoorbellBelongs}, {"", time.Second}}, 1},
		"an operator after a link and its signal":   {[]at{{"link", 10 * ms}, {"signal", 11 * ms}, {"signal", 12 * ms}, {"", time.Second}}, 1},
		"two signals before they are looked at":     {[]at{{"signal", 10 * ms}, {"signal", 11 * ms}, {"", time.Second}, {"", 2 * time.Second}}, 1},
		"two signals apart":                         {[]at{{"signal", 10 * ms}, {"", time.Second}, {"signal", time.Second}, {"", 2 * time.Second}}, 2},
		"two links and one signal, for they merged": {[]at{{"link", 10 * ms}, {"link", 11 * ms}, {"signal", 12 * ms}, {"", time.Second}}, 0},
	} {
		s, got := signalOrigin{grace: durations.DoorbellWait, belongs: durations.DoorbellBelongs}, 0
		for _, e := range c.story {
			switch e.what {
			case "link":
				s.linked(mono.Instant(e.when))
			case "signal":
				s.signalled(mono.Instant(e.when))
			}
			if s.operators(mono.Instant(e.when)) {
				got++
			}
		}
		if got != c.operators || s.nextWake() != mono.Never {
			t.Errorf("%s: %d operators, want %d; wakes next at %v", name, got, c.operators, s.nextWake())
		}
	}
}
