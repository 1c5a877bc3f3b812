package monitor

import (
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

// bell tells the coordinator's doorbell, which says that a link was queued,
// from an operator's, which wants a fresh dial.
type bell struct {
	grace, belongs time.Duration
	linkAt         mono.Instant // a link came and its doorbell did not ring yet; 0: none
	rangAt         mono.Instant // the doorbell rang and its link did not come yet; 0: none
}

// linked takes a link.
func (b *bell) linked(now mono.Instant) {
	if b.rangAt != 0 {
		b.rangAt = 0
	} else {
		b.linkAt = now
	}
}

// rung takes the doorbell: the coordinator's if a link came just now or comes
// at once, else an operator's.
func (b *bell) rung(now mono.Instant) {
	belongs := b.linkAt != 0 && now < b.linkAt.Add(b.belongs)
	b.linkAt = 0
	if !belongs && b.rangAt == 0 {
		b.rangAt = now
	}
}

// nextWake returns when operators should be asked.
func (b *bell) nextWake() mono.Instant {
	if b.rangAt == 0 {
		return never
	}
	return b.rangAt.Add(b.grace)
}

// operators tells whether it was an operator who rang, once for each ring.
func (b *bell) operators(now mono.Instant) bool {
	if now < b.nextWake() {
		return false
	}
	b.rangAt = 0
	return true
}
