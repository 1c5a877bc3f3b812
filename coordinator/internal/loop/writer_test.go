package loop

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/internal/wal"
)

// marks counts the marks of a store.
type marks struct{ saved, marked atomic.Int32 }

func (m *marks) Save(wal.Batch) error { m.saved.Add(1); return nil }
func (m *marks) Mark() error          { m.marked.Add(1); return nil }

// The log's end is marked once for a burst of saves, and not while they last.
func TestTheLogsEndIsMarkedAfterABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &marks{}
		w := newWriter(m, func(uint64) {})
		w.start()
		for seq := range uint64(10) {
			w.queue <- election.Persist{Seq: seq, Sync: true}
			testwait.Virtual(2 * time.Millisecond)
		}
		if m.marked.Load() != 0 || m.saved.Load() != 10 {
			t.Errorf("after a burst of %d saves: %d marks, want none yet", m.saved.Load(), m.marked.Load())
		}
		testwait.Virtual(2 * durations.Idle)
		if m.marked.Load() != 1 {
			t.Errorf("%d marks after a burst, want 1", m.marked.Load())
		}
		w.stop()
	})
}
