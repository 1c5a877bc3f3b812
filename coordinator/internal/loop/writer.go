package loop

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/wal"
)

// persistsQueued bounds the Persists that wait for the disk; beyond it the
// event loop waits too. The core has few under way at a time: it holds back
// everything that depends on one.
const persistsQueued = 256

// Store is the part of *wal.Log that a running member needs.
type Store interface {
	Save(wal.Batch) error
	Mark() error
}

// writer carries out Persists on a goroutine of its own, so that a slow disk
// holds back only what depends on it: renewals, their acks and the answers to
// the monitor go on. (A sync of 0.08 ms could be waited for in the loop; one
// of 200 ms on a busy disk could not, since it would outlast a lease.) What
// has queued up meanwhile is written together and synced once.
type writer struct {
	store Store
	// done reports a Persist as durable, in order.
	done func(seq uint64)

	queue  chan election.Persist
	failed chan error
	wg     sync.WaitGroup
}

func newWriter(s Store, done func(seq uint64)) *writer {
	return &writer{store: s, done: done, queue: make(chan election.Persist, persistsQueued), failed: make(chan error, 1)}
}

func (w *writer) start() { w.wg.Go(w.run) }

// stop lets the writer finish what is queued and waits for it.
func (w *writer) stop() {
	close(w.queue)
	w.wg.Wait()
}

func (w *writer) run() {
	var group []election.Persist
	var idle <-chan time.Time // runs while the log's end is not marked
	for {
		var p election.Persist
		var ok bool
		select {
		case p, ok = <-w.queue:
			if !ok {
				return // Close marks it
			}
		case <-idle:
			idle = nil
			if err := w.store.Mark(); err != nil {
				w.fail(err)
				return
			}
			continue
		}
		// Votes and appends leave before the sync. Their streams' goroutines were
		// woken before this one, but the last that is woken runs first, and a sync
		// keeps its processor: with one processor they would wait for the disk.
		runtime.Gosched()
		group = append(group[:0], p)
		for len(group) < persistsQueued && len(w.queue) > 0 {
			group = append(group, <-w.queue)
		}
		if err := w.save(group); err != nil {
			w.fail(err)
			return
		}
		if idle == nil {
			idle = time.After(durations.Idle)
		}
		for _, p := range group {
			w.done(p.Seq)
		}
		clear(group)
	}
}

// fail tells the loop, which is about to end.
func (w *writer) fail(err error) {
	w.failed <- fmt.Errorf("%w: %w", reason.ErrStorage, err)
	for range w.queue {
	}
}

// save writes a group; one sync at the end covers all of it.
func (w *writer) save(group []election.Persist) error {
	sync := slices.ContainsFunc(group, func(p election.Persist) bool { return p.Sync })
	for i, p := range group {
		b := wal.Batch{HardState: p.HardState, Entries: p.Entries, Snapshot: p.Snapshot, Reset: p.Reset, Bound: p.Bound}
		b.Sync = sync && i == len(group)-1
		if err := w.store.Save(b); err != nil {
			return err
		}
	}
	return nil
}
