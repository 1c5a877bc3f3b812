package coordinator

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/testwait"
)

// SIGTERM ends a start that hangs in a directory, and waits for one that goes on.
func TestStartThatHangsIsInterrupted(t *testing.T) {
	own := errors.New("its own error")
	for name, c := range map[string]struct {
		takes time.Duration
		want  error
		after time.Duration
	}{
		"returns before the signal":     {time.Second, own, time.Second},
		"returns soon after the signal": {2*time.Second + durations.OpenAfterStop/2, own, 2*time.Second + durations.OpenAfterStop/2},
		"hangs":                         {time.Hour, errStuck, 2*time.Second + durations.OpenAfterStop},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
				defer cancel()
				began := time.Now()
				err := interruptible(ctx, func() error { <-time.After(c.takes); return own })
				if took := time.Since(began); !errors.Is(err, c.want) || took != c.after {
					t.Errorf("%v after %v, want %v after %v", err, took, c.want, c.after)
				}
				testwait.Virtual(c.takes) // the bubble ends with all that is in it
			})
		})
	}
}
