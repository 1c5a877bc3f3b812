package membership

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
)

// Tell returns which addresses of a node the others have to know now. told is what
// they know, present what the machine has, and missing for how long some of told
// are gone. A new address is told at once, and with it what is gone. What is only
// gone is told after a while, and never if nothing is left.
func Tell(told, present []string, missing time.Duration) []string {
	isNew := slices.ContainsFunc(present, func(a string) bool { return !slices.Contains(told, a) })
	isGone := slices.ContainsFunc(told, func(a string) bool { return !slices.Contains(present, a) })
	if isNew || isGone && len(present) > 0 && missing >= durations.AddressGone {
		return present
	}
	return told
}
