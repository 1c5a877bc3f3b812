package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/durations"
)

// A stopSignal is why a context ended: a signal to this process.
type stopSignal struct{ signal os.Signal }

func (i stopSignal) Error() string {
	name := i.signal.String()
	if s, ok := i.signal.(syscall.Signal); ok {
		name = unix.SignalName(s)
	}
	return "interrupted by " + name
}

// Is says that a stopSignal is a cancel.
func (stopSignal) Is(target error) bool { return target == context.Canceled }

// orderly returns a context that the first SIGINT or SIGTERM ends, with a
// stopSignal as its cause. A later one ends the process at once. stop gives the
// signals back.
func orderly() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go takeSignals(ctx, signals, durations.SameSignal,
		func(s os.Signal) { cancel(stopSignal{s}) }, func() { signal.Stop(signals) })
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// takeSignals calls first with the first signal and, when those that came within
// pause are swallowed, release: from then on a signal does what it does to any
// process.
func takeSignals(ctx context.Context, signals <-chan os.Signal, pause time.Duration, first func(os.Signal), release func()) {
	select {
	case s := <-signals:
		first(s)
	case <-ctx.Done():
		return
	}
	over := time.NewTimer(pause)
	defer over.Stop()
	for {
		select {
		case <-signals:
		case <-over.C:
			release()
			return
		}
	}
}
