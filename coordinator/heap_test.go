package coordinator

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/testwait"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// Garbage is collected where nothing happens, and left where something does.
func TestGarbageIsCollectedWhileIdle(t *testing.T) {
	metric := func(name string) uint64 {
		s := []metrics.Sample{{Name: name}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	for name, busy := range map[string]bool{"idle": false, "while things happen": true} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			runtime.GC()
			live := metric("/gc/heap/live:bytes")
			var garbage [][]byte
			for metric("/memory/classes/heap/objects:bytes") < 3*max(live, heapGoal) {
				garbage = append(garbage, make([]byte, 64<<10))
			}
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				n := &node{hub: publish.NewHub(func() election.Instant { return mono.Instant(time.Since(began)) }, &publish.View{Ring: &ring.State{}})}
				before := metric("/gc/cycles/forced:gc-cycles")
				ctx, cancel := context.WithCancel(t.Context())
				go n.collectWhileIdle(ctx)
				for range 50 {
					if busy {
						n.hub.Publish(n.hub.Load(), []*arcv1.Event{{}})
					}
					testwait.Virtual(durations.Idle / 2)
				}
				cancel()
				synctest.Wait()
				if got := metric("/gc/cycles/forced:gc-cycles") - before; (got > 0) == busy {
					t.Errorf("%d collections", got)
				}
			})
			runtime.KeepAlive(garbage)
		})
	}
}

// What a coordinator may use follows from what strangers, members and it itself can
// make it keep, and the runtime is told.
func TestTheMemoryHasALimit(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	was := debug.SetMemoryLimit(-1)
	if limits.Memory > 512<<20 {
		t.Errorf("the limit is %d MiB", limits.Memory>>20)
	}
	synctest.Test(t, func(t *testing.T) {
		n := &node{hub: publish.NewHub(func() election.Instant { return 0 }, &publish.View{Ring: &ring.State{}})}
		ctx, cancel := context.WithCancel(t.Context())
		go n.collectWhileIdle(ctx)
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
