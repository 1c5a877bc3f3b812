package heap

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
)

const (
	// goal is the size in bytes at which the heap is collected while idle, or twice
	// what lived through the last collection, whichever is more: Go's own least heap
	// and pace.
	goal = 4 << 20
	// headroom is how much the heap may grow until the runtime collects by itself, in
	// percent of what lives: enough that no failover comes so far.
	headroom = 400
)

// Collect collects while idle reports true, until ctx ends. Above limit bytes the runtime
// collects as often as it must.
//
// GOGC in the environment is the operator's word and leaves all to the runtime;
// GOMEMLIMIT is another, and stands.
func Collect(ctx context.Context, limit int64, idle func() bool) {
	if os.Getenv("GOGC") != "" {
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(headroom))
	if os.Getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	}
	sizes := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	for connect.Wait(ctx, durations.HeapCheck) {
		metrics.Read(sizes)
		if idle() && sizes[0].Value.Uint64() >= max(goal, 2*sizes[1].Value.Uint64()) {
			runtime.GC()
		}
	}
}
