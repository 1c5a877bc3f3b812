package membership

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
)

// Place is where a node is reached, as it tells others.
type Place struct {
	// Told are the addresses that the others have to know.
	Told []string
	// missing is since when some of them are gone, 0 if none is.
	missing mono.Instant
	// redialled is when a change last set off redials, 0 if none did.
	redialled mono.Instant
}

// Look takes the addresses that the machine has now. A new address is told at
// once, and with it what is gone. What is only gone is told after a while, and
// never if nothing is left. Look reports whether Told changed and whether missing
// connections are dialled at once. again is when to look again, 0 if at the next
// notice.
func (p *Place) Look(now mono.Instant, present []string) (changed, redial bool, again time.Duration) {
	isNew := slices.ContainsFunc(present, func(a string) bool { return !slices.Contains(p.Told, a) })
	isGone := slices.ContainsFunc(p.Told, func(a string) bool { return !slices.Contains(present, a) })
	switch {
	case !isGone:
		p.missing = 0
	case p.missing == 0:
		p.missing = now
	}
	missing := now.Sub(p.missing)
	if isGone {
		again = max(durations.AddressGone-missing, time.Millisecond)
	}
	changed = isNew || isGone && len(present) > 0 && missing >= durations.AddressGone
	if changed {
		p.Told, p.missing = present, 0
	}
	redial = changed || p.redialled == 0 || now.Sub(p.redialled) >= durations.RedialPause
	switch {
	case redial:
		p.redialled = now
	case again == 0:
		again = durations.RedialPause
	}
	if len(present) == 0 {
		again = 0 // nothing to tell until there is one
	}
	return changed, redial, again
}
