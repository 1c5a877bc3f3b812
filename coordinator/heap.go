package coordinator

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapGoal is the size in bytes at which the heap is collected at rest, or
	// twice what lived through the last collection, whichever is more: Go's own
	// least heap and pace.
	heapGoal = 4 << 20
	// heapHeadroom is how much the heap may grow until the runtime collects by
	// itself, in percent of what lives: enough that no failover comes so far.
	heapHeadroom = 400
	heapLook     = time.Second
	// heapCalm is how long nothing must have happened.
	heapCalm = 500 * time.Millisecond
)

// collectAtRest collects garbage while nothing happens in the ring, until ctx
// ends. At rest a heap fills in a minute; left to itself the runtime collects
// when it is full, and what fills it up most often is a failover. One of twenty
// members then tells two milliseconds late, or all where they share processors.
//
// GOGC in the environment is the operator's word and leaves all to the runtime.
func (n *node) collectAtRest(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(heapHeadroom))
	look := time.NewTicker(heapLook)
	defer look.Stop()
	sizes := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		metrics.Read(sizes)
		if n.hub.calm() >= heapCalm && sizes[0].Value.Uint64() >= max(heapGoal, 2*sizes[1].Value.Uint64()) {
			runtime.GC()
		}
	}
}
