package heap

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"testing/synctest"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/testwait"
)

// Garbage is collected where nothing happens, and left where something does.
func TestGarbageIsCollectedWhileIdle(t *testing.T) {
	metric := func(name string) uint64 {
		s := []metrics.Sample{{Name: name}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	for name, idle := range map[string]bool{"idle": true, "while things happen": false} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			runtime.GC()
			live := metric("/gc/heap/live:bytes")
			var garbage [][]byte
			for metric("/memory/classes/heap/objects:bytes") < 3*max(live, goal) {
				garbage = append(garbage, make([]byte, 64<<10))
			}
			synctest.Test(t, func(t *testing.T) {
				before := metric("/gc/cycles/forced:gc-cycles")
				ctx, cancel := context.WithCancel(t.Context())
				go Collect(ctx, limits.Memory, func() bool { return idle })
				testwait.Virtual(5 * durations.HeapCheck / 2)
				cancel()
				synctest.Wait()
				if got := metric("/gc/cycles/forced:gc-cycles") - before; (got > 0) != idle {
					t.Errorf("%d collections", got)
				}
			})
			runtime.KeepAlive(garbage)
		})
	}
}

// The runtime is told the limit while Collect runs. That of a coordinator follows from
// what strangers, members and it itself can make it keep.
func TestTheMemoryHasALimit(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	was := debug.SetMemoryLimit(-1)
	if limits.Memory > 512<<20 {
		t.Errorf("the limit is %d MiB", limits.Memory>>20)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go Collect(ctx, limits.Memory, func() bool { return true })
		synctest.Wait()
		if got := debug.SetMemoryLimit(-1); got != limits.Memory {
			t.Errorf("the runtime's limit is %d, want %d", got, limits.Memory)
		}
		cancel()
		synctest.Wait()
	})
	if got := debug.SetMemoryLimit(-1); got != was {
		t.Errorf("the limit stays at %d, want %d", got, was)
	}
}

// The operator's words in the environment stand.
func TestTheOperatorsWordsStand(t *testing.T) {
	const limit = 300 << 20
	percent := func() int {
		was := debug.SetGCPercent(headroom)
		debug.SetGCPercent(was)
		return was
	}
	usual := percent()
	unlimited := debug.SetMemoryLimit(-1)
	for _, c := range []struct {
		gogc, gomemlimit string
		percent          int
		limit            int64
	}{
		{"", "", headroom, limit},
		{"", "1GiB", headroom, unlimited},
		{"150", "", usual, unlimited},
	} {
		t.Setenv("GOGC", c.gogc)
		t.Setenv("GOMEMLIMIT", c.gomemlimit)
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			go Collect(ctx, limit, func() bool { return true })
			synctest.Wait()
			if p, l := percent(), debug.SetMemoryLimit(-1); p != c.percent || l != c.limit {
				t.Errorf("%+v: the runtime has %d %% and %d bytes", c, p, l)
			}
			cancel()
			synctest.Wait()
		})
	}
}
