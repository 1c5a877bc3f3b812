package coordinator

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
)

const (
	// heapGoal is the size in bytes at which the heap is collected while idle, or
	// twice what lived through the last collection, whichever is more: Go's own
	// least heap and pace.
	heapGoal = 4 << 20
	// heapHeadroom is how much the heap may grow until the runtime collects by
	// itself, in percent of what lives: enough that no failover comes so far.
	heapHeadroom = 400
	// ownMemory is what a coordinator of a large ring needs for itself.
	ownMemory = 128 << 20
	// memoryLimit is up to where the heap may grow freely; beyond it the runtime
	// collects as often as it must. It is what the process itself needs, what
	// strangers can make it keep, the unfinished messages of members, and what
	// waits for the voters of a large ring.
	memoryLimit = ownMemory + limits.StrangerStreams*limits.StreamMemory + 2*limits.Parts + 16*limits.PeerQueue
)

// collectWhileIdle collects garbage while nothing happens in the ring, until ctx
// ends. A heap fills in a minute then. Left to itself the runtime collects when it
// is full, and what fills it up most often is a failover. One of twenty members
// then tells two milliseconds late, or all where they share processors.
//
// GOGC in the environment is the operator's word and leaves all to the runtime;
// GOMEMLIMIT is another, and stands.
func (n *node) collectWhileIdle(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(heapHeadroom))
	if os.Getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryLimit))
	}
	look := time.NewTicker(durations.HeapCheck)
	defer look.Stop()
	sizes := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		metrics.Read(sizes)
		if n.hub.Idle() && sizes[0].Value.Uint64() >= max(heapGoal, 2*sizes[1].Value.Uint64()) {
			runtime.GC()
		}
	}
}
