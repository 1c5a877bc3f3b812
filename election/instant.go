package election

import "github.com/arc-ring/arc/internal/mono"

// Instant is a point of this machine's monotonic time (CLOCK_BOOTTIME).
type Instant = mono.Instant

// Never is what NextWake returns while no time is awaited, and where the lease
// of a leader without other voters ends.
const Never = mono.Never
