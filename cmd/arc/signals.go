package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/arc-ring/arc/internal/durations"
)

// orderly returns a context that the first SIGINT or SIGTERM ends. A later one ends
// the process at once. stop gives the signals back.
func orderly() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go takeSignals(ctx, signals, durations.SameSignal, cancel, func() { signal.Stop(signals) })
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

// takeSignals calls first at the first signal and, when those that came within
// pause are swallowed, release: from then on a signal does what it does to any
// process.
func takeSignals(ctx context.Context, signals <-chan os.Signal, pause time.Duration, first, release func()) {
	select {
	case <-signals:
	case <-ctx.Done():
		return
	}
	first()
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
