package membership

import (
	"slices"

	"github.com/arc-ring/arc/election"
)

// NextIncarnation returns the incarnation of a process that starts now on a data
// directory, and the list to keep there from now on, this one included. earlier are
// those that ran on it before, the newest first. The incarnation is larger than all
// of them, also if the wall clock, Unix milliseconds, was set back. random are 64
// random bits.
func NextIncarnation(wall int64, random uint64, earlier []uint64) (inc uint64, kept []uint64) {
	inc = uint64(wall)<<22 | random>>42 // 42 bits of time, 22 by chance
	if len(earlier) > 0 {
		inc = max(inc, slices.Max(earlier)+1)
	}
	return inc, append([]uint64{inc}, earlier[:min(len(earlier), election.FormerKept-1)]...)
}
