package monitor

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

// Signals takes over the signals of a monitor process. Call it first of all: before
// it, SIGUSR1 ends the process. SIGUSR1 rings the returned doorbell. SIGTERM ends the
// returned context. SIGINT and SIGHUP are ignored. They reach every process of a
// terminal, and a monitor has to outlive its coordinator, which tells it a new log
// level. SIGPIPE is ignored too, because the dead coordinator's log, which nobody
// reads any more, must not end the monitor. stop gives SIGUSR1 and SIGTERM back.
func Signals(parent context.Context) (ctx context.Context, doorbell <-chan os.Signal, stop func()) {
	alarmC := make(chan os.Signal, 1)
	signal.Notify(alarmC, syscall.SIGUSR1)
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	ctx, cancel := signal.NotifyContext(parent, syscall.SIGTERM)
	return ctx, alarmC, func() {
		signal.Stop(alarmC)
		cancel()
	}
}

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
		return mono.Never
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
