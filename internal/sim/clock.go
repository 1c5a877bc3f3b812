package sim

import (
	"math"
	"math/bits"

	"github.com/arc-ring/arc/election"
)

// forever is a point of true time that never comes.
const forever = math.MaxInt64

// clock is one machine's monotonic clock. It goes on whatever the processes
// do; its rate differs from true time by ppm.
type clock struct {
	at   int64 // true time since when the rate is ppm
	base int64 // what the clock showed then
	ppm  int64
}

// local returns what the clock shows at true time t.
func (c *clock) local(t int64) election.Instant {
	d := t - c.at
	return election.Instant(c.base + d + d*c.ppm/1_000_000)
}

// trueAt returns the first true time at which the clock shows l or more.
func (c *clock) trueAt(l election.Instant) int64 {
	d := int64(l) - c.base
	if d <= 0 {
		return c.at
	}
	if d > math.MaxInt64/4 {
		return forever
	}
	hi, lo := bits.Mul64(uint64(d), 1_000_000)
	q, _ := bits.Div64(hi, lo, uint64(1_000_000+c.ppm))
	t := c.at + int64(q) // but for rounding
	for c.local(t) < l {
		t++
	}
	for t > c.at && c.local(t-1) >= l {
		t--
	}
	return t
}

// setRate changes the rate from true time t on.
func (c *clock) setRate(t, ppm int64) {
	c.base, c.at, c.ppm = int64(c.local(t)), t, ppm
}
