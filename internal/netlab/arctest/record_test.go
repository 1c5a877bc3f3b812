package arctest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arc-ring/arc/client"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// pollEvery is how often one of five nodes is asked whether it claims; more
// nodes are asked less often, so that the asking stays cheap.
const pollEvery = 20 * time.Millisecond

// record is what all nodes said, in the order in which it was heard. All times
// are of this machine's one clock.
type record struct {
	mu      sync.Mutex
	began   time.Time
	events  []heard
	samples []sample
}

// heard is an event of some node's watch stream.
type heard struct {
	at    time.Time
	from  string
	event *arcv1.Event
}

// sample is one answer to the question whether a node claims: at some instant
// between asked and answered it did, or did not.
type sample struct {
	node            string
	asked, answered time.Time
	claiming        bool
	term            uint64
	leaseLeft       time.Duration
}

func newRecord() *record { return &record{began: time.Now()} }

func (r *record) addEvent(h heard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, h)
}

// forgetEvents drops what a node told while it was in another ring: events do
// not say of which ring they are. Its answers about claims stay.
func (r *record) forgetEvents(node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = slices.DeleteFunc(r.events, func(h heard) bool { return h.from == node })
}

func (r *record) addSample(s sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, s)
}

// claims returns the samples in which the node claimed, oldest first.
func (r *record) claims(node string) []sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []sample
	for _, s := range r.samples {
		if s.claiming && s.node == node {
			list = append(list, s)
		}
	}
	return list
}

// since returns the events heard after t from any node that match.
func (r *record) since(t time.Time, match func(heard) bool) []heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []heard
	for _, h := range r.events {
		if h.at.After(t) && match(h) {
			list = append(list, h)
		}
	}
	return list
}

// kind matches events of these types.
func kind(types ...string) func(heard) bool {
	return func(h heard) bool { return slices.Contains(types, h.event.Type) }
}

func (h heard) String() string {
	detail := ""
	if d := h.event.GetDetail(); d != nil && h.event.Type != "snapshot" {
		detail = d.String()
	}
	return fmt.Sprintf("%s says: epoch %d term %d %s %s %.120s", h.from, h.event.Epoch, h.event.Term, h.event.Type, h.event.Node, detail)
}

func (r *record) tail(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, h := range r.events[max(0, len(r.events)-n):] {
		fmt.Fprintf(&b, "%9.3f s  %s\n", h.at.Sub(r.began).Seconds(), h)
	}
	return b.String()
}

// check says everything that the record proves to be wrong.
func (r *record) check(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	declared, claims := 0, 0
	for _, e := range changes(r.events) {
		if declaredTerm(e) != 0 {
			declared++
		}
	}
	for _, s := range r.samples {
		if s.claiming {
			claims++
		}
	}
	t.Logf("checked %d declarations, %d changes of the ring, %d claims in %d answers", declared, len(changes(r.events)), claims, len(r.samples))
	for _, complaint := range slices.Concat(checkTerms(r.events), checkClaims(r.samples), checkHeirs(r.events)) {
		t.Error(complaint)
	}
}

// eyes are the two goroutines that record one node.
type eyes struct {
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

func watch(name string, api *client.Client, r *record, every time.Duration) *eyes {
	ctx, cancel := context.WithCancel(context.Background())
	e := &eyes{cancel: cancel}
	e.wait.Go(func() {
		for ctx.Err() == nil {
			if stream, err := api.Watch(ctx); err == nil {
				for {
					event, err := stream.Recv()
					if err != nil {
						break
					}
					r.addEvent(heard{at: time.Now(), from: name, event: event})
				}
				stream.Close()
			}
			pause(ctx, 10*time.Millisecond)
		}
	})
	e.wait.Go(func() {
		for ctx.Err() == nil {
			asked := time.Now()
			call, done := context.WithTimeout(ctx, 5*time.Second)
			st, err := api.Status(call)
			done()
			if err == nil {
				r.addSample(sample{
					node: name, asked: asked, answered: time.Now(), claiming: st.Claiming, term: st.Term,
					leaseLeft: time.Duration(st.LeaseMs * float64(time.Millisecond)),
				})
			}
			pause(ctx, every)
		}
	})
	return e
}

func (e *eyes) close() {
	e.cancel()
	e.wait.Wait()
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
