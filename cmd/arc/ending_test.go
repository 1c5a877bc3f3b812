package main

import (
	"context"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/testwait"
)

func TestASignalThatArrivesTwiceAtOnceIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		signals := make(chan os.Signal, 1)
		var began, released atomic.Int64 // Unix time in nanoseconds, 0: not yet
		go takeSignals(ctx, signals, durations.SameSignal, func(os.Signal) { began.Store(time.Now().UnixNano()); cancel() }, func() { released.Store(time.Now().UnixNano()) })
		synctest.Wait()
		if began.Load() != 0 {
			t.Fatal("ended without a signal")
		}
		first := time.Now().UnixNano()
		for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGTERM, os.Interrupt} {
			signals <- s
			synctest.Wait()
		}
		if late := began.Load() - first; late != 0 {
			t.Errorf("the first signal took effect %v after it came", time.Duration(late))
		}
		if released.Load() != 0 {
			t.Error("the second of two signals at once would end the process")
		}
		testwait.Virtual(durations.SameSignal)
		if got := time.Duration(released.Load() - first); got != durations.SameSignal {
			t.Errorf("a second signal counts from %v on, want %v", got, durations.SameSignal)
		}
	})
}

func TestSignalsAreGivenBackWithoutOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go takeSignals(ctx, make(chan os.Signal), durations.SameSignal, func(os.Signal) { t.Error("ended without a signal") }, func() {})
		cancel()
		synctest.Wait()
	})
}
