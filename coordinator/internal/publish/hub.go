package publish

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// subscriberQueue is how many events may wait for one subscriber. A ring of 100
// that is founded at once makes about 300.
const subscriberQueue = 1024

// Hub publishes views and the events that lead from one to the next. Both are
// published under one lock, so that a subscriber which starts with a snapshot of
// the newest view misses nothing after it and sees nothing twice.
type Hub struct {
	// p holds the newest view. Only the event loop and, between two memberships, Run
	// publish.
	p     atomic.Pointer[View]
	clock func() election.Instant

	mu          sync.Mutex
	subscribers map[*Subscriber]struct{} // nil once closed
	// lastEvent is when something happened last.
	lastEvent election.Instant
	// Ended is closed by close.
	Ended chan struct{}
	// next is closed when the next view is published; nil if nobody waits.
	next atomic.Pointer[chan struct{}]
	// Unsure: a stream began with a snapshot that knows no leader, since the proof of
	// the newest view had run out. The event loop may prolong it unaware of that.
	Unsure atomic.Bool
}

// Subscriber is one Watch call.
type Subscriber struct {
	// foreign: the call came over the network, from a stranger at host.
	foreign bool
	host    netip.Addr
	// Events and Gone are closed when the subscriber was dropped; Err then says why.
	Events chan *arcv1.Event
	Gone   chan struct{}
	Err    error
}

// NewHub makes a hub of a clock and the first view.
func NewHub(clock func() election.Instant, first *View) *Hub {
	h := &Hub{clock: clock, subscribers: map[*Subscriber]struct{}{}, Ended: make(chan struct{})}
	h.p.Store(first)
	return h
}

// Publish makes v the newest view. It never blocks: a subscriber whose queue is
// full is dropped.
func (h *Hub) Publish(v *View, events []*arcv1.Event) {
	if len(events) == 0 {
		// Nobody can tell whether this happened before or after a
		// subscription.
		h.store(v)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.store(v)
	h.lastEvent = h.clock()
	for w := range h.subscribers {
		for _, e := range events {
			select {
			case w.Events <- e:
				continue
			default:
			}
			h.dropLocked(w, fmt.Errorf("%w: %d events waited; watch again, the first event is the present state", reason.ErrSlowWatcher, subscriberQueue))
			break
		}
	}
}

// store makes v the newest view and notes since when no leader is known.
func (h *Hub) store(v *View) {
	now := h.clock()
	if _, known := v.Leader(now); known {
		v.Leaderless = 0
	} else if v.Leaderless = h.Load().Leaderless; v.Leaderless == 0 {
		v.Leaderless = now
	}
	h.p.Store(v)
	if next := h.next.Swap(nil); next != nil {
		close(*next)
	}
}

// Load returns the newest view.
func (h *Hub) Load() *View { return h.p.Load() }

// Leader is who leads as far as there is proof at the moment of asking.
func (h *Hub) Leader() (*View, ring.Member, bool) {
	v, now, _, _, _ := h.Claim()
	m, ok := v.Leader(now)
	return v, m, ok
}

// Claim reads the claim at the moment of asking. The view is read on both
// sides of the clock: a claim that was given up in between is not told.
func (h *Hub) Claim() (v *View, now election.Instant, term uint64, left time.Duration, ok bool) {
	for {
		v = h.Load()
		now = h.clock()
		if h.Load() == v {
			term, left, ok = v.claim(now)
			return v, now, term, left, ok
		}
	}
}

// Published returns a channel that is closed when the next view is published.
func (h *Hub) Published() <-chan struct{} {
	for {
		if next := h.next.Load(); next != nil {
			return *next
		}
		if next := make(chan struct{}); h.next.CompareAndSwap(nil, &next) {
			return next
		}
	}
}

// Idle reports whether nothing has happened for durations.Idle.
func (h *Hub) Idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock().Sub(h.lastEvent) >= durations.Idle
}

// Subscribe returns a subscriber and the view after which its events begin.
func (h *Hub) Subscribe(foreign bool, host netip.Addr) (*Subscriber, *View, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers == nil {
		return nil, nil, reason.ErrStopping
	}
	if err := h.roomLocked(foreign, host); err != nil {
		return nil, nil, err
	}
	w := &Subscriber{foreign: foreign, host: host, Events: make(chan *arcv1.Event, subscriberQueue), Gone: make(chan struct{})}
	h.subscribers[w] = struct{}{}
	return w, h.Load(), nil
}

// roomLocked says why one more watcher is too many. Those over the network take
// no room from this machine's own.
func (h *Hub) roomLocked(foreign bool, host netip.Addr) error {
	same, sameHost := 0, 0
	for w := range h.subscribers {
		if w.foreign == foreign {
			same++
		}
		if w.foreign && w.host == host {
			sameHost++
		}
	}
	switch {
	case foreign && sameHost >= limits.HostSubscribers:
		return fmt.Errorf("%w: %d watchers are connected from %s already", reason.ErrOverload, limits.HostSubscribers, host)
	case foreign && same >= limits.StrangerSubscribers:
		return fmt.Errorf("%w: %d watchers are connected over the network already", reason.ErrOverload, limits.StrangerSubscribers)
	case same >= limits.Subscribers:
		return fmt.Errorf("%w: %d watchers are connected already", reason.ErrOverload, limits.Subscribers)
	}
	return nil
}

// Unsubscribe ends a subscription. Twice is harmless.
func (h *Hub) Unsubscribe(w *Subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLocked(w, nil)
}

func (h *Hub) dropLocked(w *Subscriber, err error) {
	if _, ok := h.subscribers[w]; ok {
		delete(h.subscribers, w)
		w.Err = err
		close(w.Gone)
		close(w.Events)
	}
}

// Close ends all subscribers; what waits in their queues is still delivered.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers != nil {
		close(h.Ended)
	}
	for w := range h.subscribers {
		h.dropLocked(w, reason.ErrStopping)
	}
	h.subscribers = nil
}

// Next returns the subscriber's next event. After a drop it returns what was
// queued before, then why the subscriber was dropped.
func (w *Subscriber) Next(ctx context.Context) (*arcv1.Event, error) {
	select {
	case e, ok := <-w.Events:
		if !ok {
			return nil, w.Err
		}
		return e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
