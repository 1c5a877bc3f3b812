package coordinator

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

const (
	// watcherQueue is how many events may wait for one watcher. A ring of 100
	// that is founded at once makes about 300.
	watcherQueue = 1024
	// watchersMax bounds the watchers of this machine's programs and of members.
	watchersMax = 256
	// foreignWatchersMax bounds the others, watchersPerHost those of one address.
	foreignWatchersMax = 128
	watchersPerHost    = 64
	// watcherGrace is how long a watcher that is dropped may take to read what
	// waits for it.
	watcherGrace = time.Second
)

// hub publishes views and the events that lead from one to the next. Both are
// published under one lock, so that a watcher which starts with a snapshot of
// the newest view misses nothing after it and sees nothing twice.
type hub struct {
	views viewBox

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	closed   bool
	// news is when something happened last.
	news election.Instant
	// ended is closed by close.
	ended chan struct{}
	// next is closed when the next view is published; nil if nobody waits.
	next atomic.Pointer[chan struct{}]
	// unsure: a stream began with a snapshot that knows no leader, since the proof of
	// the newest view had run out. The event loop may prolong it unaware of that.
	unsure atomic.Bool
}

// watcher is one Watch call.
type watcher struct {
	as     standing
	host   netip.Addr
	events chan *arcv1.Event
	// gone is closed when the watcher was dropped; err then says why.
	gone chan struct{}
	err  error
}

func newHub(clock func() election.Instant, first *view) *hub {
	h := &hub{views: viewBox{clock: clock}, watchers: map[*watcher]struct{}{}, ended: make(chan struct{})}
	h.views.p.Store(first)
	return h
}

// publish makes v the newest view. It never blocks: a watcher whose queue is
// full is dropped.
func (h *hub) publish(v *view, events []*arcv1.Event) {
	if len(events) == 0 {
		// Nobody can tell whether this happened before or after a
		// subscription.
		h.store(v)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.store(v)
	h.news = h.views.clock()
	for w := range h.watchers {
		for _, e := range events {
			select {
			case w.events <- e:
				continue
			default:
			}
			h.dropLocked(w, fmt.Errorf("%w: %d events waited; watch again, the first event is the present state", reason.ErrSlowWatcher, watcherQueue))
			break
		}
	}
}

// store makes v the newest view and notes since when no leader is known.
func (h *hub) store(v *view) {
	now := h.views.clock()
	if _, known := v.leader(now); known {
		v.leaderless = 0
	} else if v.leaderless = h.views.load().leaderless; v.leaderless == 0 {
		v.leaderless = now
	}
	h.views.p.Store(v)
	if next := h.next.Swap(nil); next != nil {
		close(*next)
	}
}

// published returns a channel that is closed when the next view is published.
func (h *hub) published() <-chan struct{} {
	for {
		if next := h.next.Load(); next != nil {
			return *next
		}
		if next := make(chan struct{}); h.next.CompareAndSwap(nil, &next) {
			return next
		}
	}
}

// calm is for how long nothing has happened.
func (h *hub) calm() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.views.clock().Sub(h.news)
}

// subscribe returns a watcher and the view after which its events begin.
func (h *hub) subscribe(as standing, host netip.Addr) (*watcher, *view, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, reason.ErrStopping
	}
	if err := h.roomLocked(as, host); err != nil {
		return nil, nil, err
	}
	w := &watcher{as: as, host: host, events: make(chan *arcv1.Event, watcherQueue), gone: make(chan struct{})}
	h.watchers[w] = struct{}{}
	return w, h.views.load(), nil
}

// roomLocked says why one more watcher is too many. Those over the network take
// no room from this machine's own.
func (h *hub) roomLocked(as standing, host netip.Addr) error {
	same, sameHost := 0, 0
	for w := range h.watchers {
		if (w.as == stranger) == (as == stranger) {
			same++
		}
		if w.as == stranger && w.host == host {
			sameHost++
		}
	}
	switch {
	case as == stranger && sameHost >= watchersPerHost:
		return fmt.Errorf("%w: %d watchers are connected from %s already", reason.ErrOverload, watchersPerHost, host)
	case as == stranger && same >= foreignWatchersMax:
		return fmt.Errorf("%w: %d watchers are connected over the network already", reason.ErrOverload, foreignWatchersMax)
	case same >= watchersMax:
		return fmt.Errorf("%w: %d watchers are connected already", reason.ErrOverload, watchersMax)
	}
	return nil
}

func (h *hub) unsubscribe(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLocked(w, nil)
}

func (h *hub) dropLocked(w *watcher, err error) {
	if _, ok := h.watchers[w]; ok {
		delete(h.watchers, w)
		w.err = err
		close(w.gone)
	}
}

// close ends all watchers; what waits in their queues is still delivered.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		close(h.ended)
	}
	h.closed = true
	for w := range h.watchers {
		h.dropLocked(w, reason.ErrStopping)
	}
}

// next returns the watcher's next event. After a drop it returns what was
// queued before, then why the watcher was dropped.
func (w *watcher) next(ctx context.Context) (*arcv1.Event, error) {
	select {
	case e := <-w.events:
		return e, nil
	default:
	}
	select {
	case e := <-w.events:
		return e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.gone:
	}
	select {
	case e := <-w.events:
		return e, nil
	default:
		return nil, w.err
	}
}
