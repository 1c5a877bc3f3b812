package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameSignal is for how long after the first signal further ones are that same
// one. A terminal, timeout(1) and service managers signal a process and its
// group, so one wish to end arrives twice at once.
const sameSignal = time.Second

// orderly returns a context that the first SIGINT or SIGTERM ends. Another one,
// once sameSignal has passed, ends the process at once. stop gives the signals
// back.
func orderly() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go takeSignals(ctx, signals, sameSignal, cancel, func() { signal.Stop(signals) })
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
