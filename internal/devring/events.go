package devring

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/verify"
	"github.com/arc-ring/arc/internal/verify/wire"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Event is what one node said, and when it was heard.
type Event struct {
	// At is the receipt, with a monotonic reading.
	At time.Time
	// By is the node that said it.
	By *Node
	*arcv1.Event
}

// eventsKept bounds the record; the oldest half is dropped at a time.
const eventsKept = 1 << 16

// recorder merges the watch streams of all nodes in the order of receipt.
type recorder struct {
	mu      sync.Mutex
	events  []Event
	dropped int
	check   verify.Checker
	found   []verify.Violation
	began   time.Time
	news    chan struct{} // closed and replaced at each event
}

func newRecorder() *recorder {
	return &recorder{began: time.Now(), news: make(chan struct{})}
}

// follow records what the node says until ctx ends; the returned channel is
// closed when the recording is over. A broken stream is opened again, with a
// client of its own whose back-off does not matter.
func (r *recorder) follow(ctx context.Context, n *Node, start int) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for stream := 0; ctx.Err() == nil; stream++ {
			r.followOnce(ctx, n, fmt.Sprintf("%s start %d stream %d", n.name, start, stream))
			select {
			case <-ctx.Done():
			case <-time.After(uptimeGrace):
			}
		}
	}()
	return done
}

func (r *recorder) followOnce(ctx context.Context, n *Node, stream string) {
	c, err := client.New(n.Addr())
	if err != nil {
		return // the same address was accepted at Start
	}
	defer func() { _ = c.Close() }()
	w, err := c.Watch(ctx)
	if err != nil {
		return
	}
	defer w.Close()
	for {
		ev, err := w.Recv()
		if err != nil {
			return
		}
		r.add(Event{At: time.Now(), By: n, Event: ev}, stream)
	}
}

func (r *recorder) add(ev Event, stream string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) >= eventsKept {
		r.dropped += len(r.events) / 2
		r.events = append([]Event(nil), r.events[len(r.events)/2:]...)
	}
	r.events = append(r.events, ev)
	r.keep(wire.Event(&r.check, stream, ev.At.Sub(r.began), ev.Event))
	close(r.news)
	r.news = make(chan struct{})
}

// since returns the events from number mark on, the number behind the last,
// and what is closed at the next.
func (r *recorder) since(mark int) (events []Event, next int, news <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := max(mark-r.dropped, 0)
	if from < len(r.events) {
		events = append(events, r.events[from:]...)
	}
	return events, r.dropped + len(r.events), r.news
}

// Mark returns the number of the next event.
func (r *Ring) Mark() int {
	_, next, _ := r.events.since(1 << 62)
	return next
}

// Since returns the events from number mark on.
func (r *Ring) Since(mark int) []Event {
	events, _, _ := r.events.since(mark)
	return events
}

// News returns the events from number mark on, the mark behind them, and a
// channel that is closed when there are more.
func (r *Ring) News(mark int) ([]Event, int, <-chan struct{}) { return r.events.since(mark) }

// AwaitEvent waits for the first event from number mark on that fits.
func (r *Ring) AwaitEvent(ctx context.Context, mark int, what string, fits func(Event) bool) (Event, error) {
	for {
		events, next, news := r.events.since(mark)
		for _, ev := range events {
			if fits(ev) {
				return ev, nil
			}
		}
		mark = next
		select {
		case <-news:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("no event %s: %w", what, ctx.Err())
		}
	}
}
