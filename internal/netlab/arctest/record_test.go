package arctest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/fakearc"
	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// record is what the nodes of a cluster say, judged as it comes in, and which of
// them answered that they claim.
type record struct {
	*observe.Recorder
	began time.Time

	mu     sync.Mutex // also for what writes to the Recorder, which Forget replaces
	asked  int
	claims []claim
}

// claim is a node's answer that it claims: at some instant between question and
// answer it did.
type claim struct {
	by              string
	Term            uint64
	Asked, Answered time.Time
	// LeaseLeft is for how long it may go on claiming at least.
	LeaseLeft time.Duration
}

func newRecord() *record { return &record{Recorder: observe.NewRecorder(), began: time.Now()} }

// follow records the events of a node until ctx ends.
func (r *record) follow(ctx context.Context, by, addr string) {
	observe.Follow(ctx, addr, func(ev *arcv1.Event) { r.add(observe.Event{At: time.Now(), By: by, Event: ev}) }, func() {})
}

func (r *record) add(ev observe.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Add(ev)
}

// poll asks a node again and again whether it claims, until ctx ends.
func (r *record) poll(ctx context.Context, by string, api *client.Client, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		call, done := context.WithTimeout(ctx, 5*time.Second)
		asked := time.Now()
		if st, err := api.Status(call); err == nil { // one that does not answer claims nothing here
			r.answered(by, asked, time.Now(), st)
		}
		done()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (r *record) answered(by string, asked, answered time.Time, st *arcv1.StatusResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if st.GetClaiming() {
		r.claims = append(r.claims, claim{by, st.GetTerm(), asked, answered, time.Duration(st.GetLeaseMs() * float64(time.Millisecond))})
	}
	r.AddAnswer(by, asked, answered, st)
}

// Claims returns the answers of a node that it claims, oldest first.
func (r *record) Claims(by string) []claim {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.claims), func(c claim) bool { return c.by != by })
}

// Heard returns the events heard after t that fit.
func (r *record) Heard(t time.Time, fits func(observe.Event) bool) []observe.Event {
	return slices.DeleteFunc(r.Since(0), func(ev observe.Event) bool { return !ev.At.After(t) || !fits(ev) })
}

// Forget drops what a node told while it was in another ring, since events do not
// say of which ring they are, and judges again what is left.
func (r *record) Forget(by string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := slices.DeleteFunc(r.Since(0), func(ev observe.Event) bool { return ev.By == by })
	r.Recorder = observe.NewRecorder()
	for _, ev := range events {
		r.Add(ev)
	}
	for _, c := range r.claims {
		r.AddAnswer(c.by, c.Asked, c.Answered, &arcv1.StatusResponse{Claiming: true, Term: c.Term})
	}
}

// String says how much was judged.
func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%d declarations, %d claims in %d answers", r.Declared(), len(r.claims), r.asked)
}

// What a node told of another ring is forgotten, and nothing else.
func TestForget(t *testing.T) {
	declared := func(node, id string) observe.Event {
		detail := map[string]any{"id": id, "term": "5"}
		return observe.Event{At: time.Now(), By: node, Event: fakearc.Event(&arcv1.Event{Node: node, Term: 5, Epoch: 5}, "leader_declared", detail)}
	}
	r := newRecord()
	r.add(declared("n1", "1"))
	r.add(declared("n2", "2"))
	r.answered("n2", time.Now(), time.Now(), &arcv1.StatusResponse{Claiming: true, Term: 5})
	if len(r.Violations()) == 0 {
		t.Error("found nothing of two leaders of a token")
	}
	r.Forget("n1")
	if len(r.Violations()) != 0 || len(r.Since(0)) != 1 {
		t.Errorf("found %v among %v", r.Violations(), r.Since(0))
	}
	if c := r.Claims("n2"); len(c) != 1 || c[0].Term != 5 || r.String() != "1 declarations, 1 claims in 1 answers" {
		t.Errorf("claims of n2: %v; %s", c, r)
	}
	r.add(declared("n3", "3"))
	if len(r.Violations()) == 0 {
		t.Error("found nothing of two leaders of a token")
	}
}
