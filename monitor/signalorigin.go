package monitor

import (
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

// signalOrigin separates the coordinator's signals, which announce a link, from
// an operator's, which ask for a fresh dial.
type signalOrigin struct {
	grace, belongs time.Duration
	linkAt         mono.Instant // when a link came whose signal did not come yet; 0: none
	signalAt       mono.Instant // when a signal came whose link did not come yet; 0: none
}

// linked takes a link.
func (s *signalOrigin) linked(now mono.Instant) {
	if s.signalAt != 0 {
		s.signalAt = 0
	} else {
		s.linkAt = now
	}
}

// signalled takes a signal. It is the coordinator's if a link came just before it
// or comes just after it, else an operator's.
func (s *signalOrigin) signalled(now mono.Instant) {
	belongs := s.linkAt != 0 && now < s.linkAt.Add(s.belongs)
	s.linkAt = 0
	if !belongs && s.signalAt == 0 {
		s.signalAt = now
	}
}

// nextWake returns when operators has to be called.
func (s *signalOrigin) nextWake() mono.Instant {
	if s.signalAt == 0 {
		return never
	}
	return s.signalAt.Add(s.grace)
}

// operators reports whether an operator sent the signal, once for each signal.
func (s *signalOrigin) operators(now mono.Instant) bool {
	if now < s.nextWake() {
		return false
	}
	s.signalAt = 0
	return true
}
