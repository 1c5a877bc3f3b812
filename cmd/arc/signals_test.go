package main

import (
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestASignalThatArrivesTwiceAtOnceIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		signals := make(chan os.Signal, 1)
		var began, released time.Time
		go takeSignals(ctx, signals, sameSignal, func() { began = time.Now(); cancel() }, func() { released = time.Now() })
		synctest.Wait()
		if !began.IsZero() {
			t.Fatal("ended without a signal")
		}
		first := time.Now()
		for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGTERM, os.Interrupt} {
			signals <- s
			synctest.Wait()
		}
		if !began.Equal(first) {
			t.Errorf("the first signal took effect %v after it came", began.Sub(first))
		}
		if !released.IsZero() {
			t.Error("the second of two signals at once would end the process")
		}
		time.Sleep(sameSignal) // the bubble's clock
		synctest.Wait()
		if got := released.Sub(first); got != sameSignal {
			t.Errorf("a second signal counts from %v on, want %v", got, sameSignal)
		}
	})
}

func TestSignalsAreGivenBackWithoutOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go takeSignals(ctx, make(chan os.Signal), sameSignal, func() { t.Error("ended without a signal") }, func() {})
		cancel()
		synctest.Wait()
	})
}
