package mono

import (
	"math"
	"time"
)

// Instant is a point of monotonic time, in nanoseconds since an origin that is
// the same for everything in one process. It must go on while the process is
// stopped and while the machine sleeps (CLOCK_BOOTTIME). Instants of two machines
// are never compared.
type Instant int64

// Never is later than every other instant.
const Never = Instant(math.MaxInt64)

// Add returns the instant that is d later, or earlier if d is negative.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Sub returns how much later t is than u.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// SinceOrigin returns what has passed since the origin.
func (t Instant) SinceOrigin() time.Duration { return time.Duration(t) }

// String returns what has passed since the origin, as "1.5s".
func (t Instant) String() string { return t.SinceOrigin().String() }
