package arctest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/verify"
	"github.com/arc-ring/arc/internal/verify/wire"
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
	for _, v := range r.judge(t) {
		t.Error(v)
	}
}

// judge holds all that was said against the guarantees.
func (r *record) judge(t testing.TB) []verify.Violation {
	r.mu.Lock()
	defer r.mu.Unlock()
	var c verify.Checker
	var found []verify.Violation
	for _, h := range r.events {
		found = append(found, wire.Event(&c, h.from, h.at.Sub(r.began), h.event)...)
	}
	claims := 0
	for _, s := range r.samples {
		if s.claiming {
			claims++
			found = append(found, c.Sample(verify.Sample{By: verify.Process{Name: s.node}, Term: s.term, Asked: s.asked.Sub(r.began), Answered: s.answered.Sub(r.began)})...)
		}
	}
	t.Logf("checked %d declarations, %d changes of the ring, %d claims in %d answers", c.Declarations(), len(c.Changes()), claims, len(r.samples))
	return append(found, c.Replay()...)
}

// The record itself has to bite: what each guarantee is about reaches the checker.
func TestTheRecordIsJudged(t *testing.T) {
	r := newRecord()
	say := func(epoch uint64, kind, node, id, term string) {
		detail, err := structpb.NewStruct(map[string]any{"id": id, "term": term})
		if err != nil {
			t.Fatal(err)
		}
		r.addEvent(heard{at: time.Now(), from: "a", event: &arcv1.Event{Epoch: epoch, Type: kind, Node: node, Detail: detail}})
	}
	claim := func(node string, term uint64, asked, answered time.Duration) {
		r.addSample(sample{node: node, term: term, asked: r.began.Add(asked), answered: r.began.Add(answered), claiming: true})
	}
	say(1, "joined", "a", "1", "")
	say(2, "leader_declared", "a", "1", "5")
	say(3, "joined", "b", "2", "")
	say(4, "joined", "c", "3", "")
	claim("a", 5, 1, 2)
	if found := r.judge(t); found != nil {
		t.Errorf("found %v, and nothing is wrong", found)
	}
	say(5, "evicted", "a", "1", "")
	say(5, "leader_declared", "c", "3", "6")
	claim("c", 6, 3, 4)
	claim("a", 5, 5, 6)
	claim("b", 6, 7, 8)
	r.addSample(sample{node: "a", term: 5, asked: r.began.Add(9), answered: r.began.Add(10)})
	var checks []string
	for _, v := range r.judge(t) {
		checks = append(checks, v.Check)
	}
	if want := []string{"G2", "G1", "G3"}; !slices.Equal(checks, want) {
		t.Errorf("found %v, want %v", checks, want)
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
