package monitor

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
)

// Who rang, by what came when: a link, a ring, or nothing.
func TestWhoRang(t *testing.T) {
	const ms = time.Millisecond
	type at struct {
		what string
		when time.Duration
	}
	for name, c := range map[string]struct {
		story     []at
		operators int
	}{
		"a link and its bell":                     {[]at{{"link", 10 * ms}, {"ring", 11 * ms}, {"", time.Second}}, 0},
		"a bell that overtakes its link":          {[]at{{"ring", 10 * ms}, {"", 10*ms + durations.DoorbellWait - 1}, {"link", 10*ms + durations.DoorbellWait - 1}, {"", time.Second}}, 0},
		"a bell that is almost too late":          {[]at{{"link", 10 * ms}, {"ring", 10*ms + durations.DoorbellBelongs - 1}, {"", time.Second}}, 0},
		"a bell alone":                            {[]at{{"ring", 10 * ms}, {"", 10*ms + durations.DoorbellWait}, {"", time.Second}}, 1},
		"a bell long after a link without one":    {[]at{{"link", 10 * ms}, {"ring", 10*ms + durations.DoorbellBelongs}, {"", time.Second}}, 1},
		"an operator after a link and its bell":   {[]at{{"link", 10 * ms}, {"ring", 11 * ms}, {"ring", 12 * ms}, {"", time.Second}}, 1},
		"two signals before they are looked at":   {[]at{{"ring", 10 * ms}, {"ring", 11 * ms}, {"", time.Second}, {"", 2 * time.Second}}, 1},
		"two signals apart":                       {[]at{{"ring", 10 * ms}, {"", time.Second}, {"ring", time.Second}, {"", 2 * time.Second}}, 2},
		"two links and one bell, for they merged": {[]at{{"link", 10 * ms}, {"link", 11 * ms}, {"ring", 12 * ms}, {"", time.Second}}, 0},
	} {
		b, got := bell{grace: durations.DoorbellWait, belongs: durations.DoorbellBelongs}, 0
		for _, e := range c.story {
			switch e.what {
			case "link":
				b.linked(mono.Instant(e.when))
			case "ring":
				b.rung(mono.Instant(e.when))
			}
			if b.operators(mono.Instant(e.when)) {
				got++
			}
		}
		if got != c.operators || b.nextWake() != never {
			t.Errorf("%s: %d operators, want %d; wakes next at %v", name, got, c.operators, b.nextWake())
		}
	}
}
