package observe

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/verify"
	"github.com/arc-ring/arc/internal/verify/wire"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

const (
	// kept bounds the list of events; the oldest half is dropped at a time.
	kept = 1 << 16
	// violationsKept bounds theirs: one broken rule tends to stay broken.
	violationsKept = 100
	// pauseBetween is how long a broken stream waits to be opened again.
	pauseBetween = 10 * time.Millisecond
)

// Event is what one member said.
type Event struct {
	// At is the receipt, with a monotonic reading.
	At time.Time
	// By is the name of the member that said it.
	By string
	*arcv1.Event
}

// Type is the event's type in the JSON contract.
func (e Event) Type() string { return client.EventType(e.Event) }

func (e Event) String() string {
	return fmt.Sprintf("%s says: epoch %d term %d %s %s %.120s", e.By, e.GetEpoch(), e.GetTerm(), e.Type(), e.GetNode(), fmt.Sprint(e.GetDetail()))
}

// Recorder keeps and judges what members say. Its methods may be called from
// many goroutines.
type Recorder struct {
	began time.Time

	mu      sync.Mutex
	events  []Event
	dropped int
	check   verify.Checker
	found   []verify.Violation
	news    chan struct{} // closed and replaced at each event
}

// NewRecorder returns one that has heard nothing yet.
func NewRecorder() *Recorder { return &Recorder{began: time.Now(), news: make(chan struct{})} }

// Follow calls hear with each event of the coordinator at addr until ctx ends, and
// lost when its stream has ended. A stream begins with a snapshot. A broken one is
// opened again, with a client of its own whose back-off does not matter.
func Follow(ctx context.Context, addr string, hear func(*arcv1.Event), lost func()) {
	for ctx.Err() == nil {
		hearAll(ctx, addr, hear)
		lost()
		select {
		case <-ctx.Done():
		case <-time.After(pauseBetween):
		}
	}
}

func hearAll(ctx context.Context, addr string, hear func(*arcv1.Event)) {
	c, err := client.New(addr)
	if err != nil {
		return // the caller has a client of the same address
	}
	defer func() { _ = c.Close() }()
	w, err := c.Watch(ctx)
	for err == nil {
		var ev *arcv1.Event
		if ev, err = w.Recv(); err == nil {
			hear(ev)
		}
	}
}

// Follow records the events of a member until ctx ends.
func (r *Recorder) Follow(ctx context.Context, by, addr string) {
	Follow(ctx, addr, func(ev *arcv1.Event) { r.Add(Event{At: time.Now(), By: by, Event: ev}) }, func() {})
}

// Ask asks a member for its status, and judges a claim.
func (r *Recorder) Ask(ctx context.Context, by string, c *client.Client) (*arcv1.StatusResponse, error) {
	asked := time.Now()
	st, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	r.AddAnswer(by, asked, time.Now(), st)
	return st, nil
}

// Add takes an event of a member's stream.
func (r *Recorder) Add(ev Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if half := len(r.events) / 2; len(r.events) == kept {
		r.events = slices.Clone(r.events[half:])
		r.dropped += half
	}
	r.events = append(r.events, ev)
	r.keep(wire.Event(&r.check, ev.By, ev.At.Sub(r.began), ev.Event))
	close(r.news)
	r.news = make(chan struct{})
}

// AddAnswer takes an answer to a status call.
func (r *Recorder) AddAnswer(by string, asked, answered time.Time, st *arcv1.StatusResponse) {
	if !st.GetClaiming() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(r.check.Sample(verify.Sample{By: verify.Process{Name: by}, Term: st.GetTerm(), Asked: asked.Sub(r.began), Answered: answered.Sub(r.began)}))
}

func (r *Recorder) keep(found []verify.Violation) {
	r.found = append(r.found, found[:min(len(found), violationsKept-len(r.found))]...)
}

// CheckHistory holds a member's history against all that was heard.
func (r *Recorder) CheckHistory(by string, h *arcv1.HistoryResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(wire.History(&r.check, by, h))
}

// Violations returns what was heard that breaks G1 to G3.
func (r *Recorder) Violations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, v := range slices.Concat(r.found, r.check.Replay()) {
		list = append(list, v.String())
	}
	return list
}

// Declared returns how many terms were seen to have a leader.
func (r *Recorder) Declared() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.check.Declarations()
}

// Mark returns the number of the next event.
func (r *Recorder) Mark() int {
	_, next, _ := r.News(1 << 62)
	return next
}

// Since returns the events from number mark on.
func (r *Recorder) Since(mark int) []Event {
	events, _, _ := r.News(mark)
	return events
}

// News returns the events from number mark on, the mark behind them, and a
// channel that is closed when there are more.
func (r *Recorder) News(mark int) (events []Event, next int, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	events = slices.Clone(r.events[min(max(mark-r.dropped, 0), len(r.events)):])
	return events, r.dropped + len(r.events), r.news
}

// AwaitEvent waits for the first event from number mark on that fits.
func (r *Recorder) AwaitEvent(ctx context.Context, mark int, what string, fits func(Event) bool) (Event, error) {
	for {
		events, next, more := r.News(mark)
		if i := slices.IndexFunc(events, fits); i >= 0 {
			return events[i], nil
		}
		mark = next
		select {
		case <-more:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("no event %s: %w", what, ctx.Err())
		}
	}
}
