package devring

import (
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/verify"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// What all nodes say is held against each other as it comes in.
func TestWhatNodesSayIsJudged(t *testing.T) {
	r := &Ring{events: newRecorder()}
	n := &Node{ring: r, name: "n1"}
	for i, who := range []string{"n1", "n2"} {
		r.events.add(Event{By: n, Event: &arcv1.Event{Type: "leader_declared", Node: who, Term: 5}}, who)
		if got := len(r.Violations()); got != i {
			t.Errorf("%d violations after %d leaders of one token: %v", got, i+1, r.Violations())
		}
	}
	r.CheckHistory(n, &arcv1.HistoryResponse{Entries: []*arcv1.HistoryEntry{{Term: 5, Name: "n3"}}})
	for range 2 * violationsKept {
		r.events.judge(func(*verify.Checker) []verify.Violation { return []verify.Violation{{Check: "G1"}} })
	}
	if got := len(r.Violations()); got != violationsKept {
		t.Errorf("%d violations are kept, want %d", got, violationsKept)
	}
	if r.Declared() != 1 {
		t.Errorf("%d declared, want 1", r.Declared())
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []time.Duration
		want time.Duration
	}{{nil, 0}, {[]time.Duration{3}, 3}, {[]time.Duration{9, 1, 5}, 5}, {[]time.Duration{1, 3, 9, 5}, 4}} {
		if got := Median(c.in); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestRecorderIsBounded(t *testing.T) {
	r := newRecorder()
	n := &Node{name: "n1"}
	for i := range eventsKept + 10 {
		r.add(Event{By: n, Event: &arcv1.Event{Epoch: uint64(i)}}, "a")
	}
	events, next, _ := r.since(0)
	if next != eventsKept+10 || len(events) > eventsKept || events[len(events)-1].GetEpoch() != eventsKept+9 {
		t.Errorf("kept %d, next %d, last %d", len(events), next, events[len(events)-1].GetEpoch())
	}
	if events, _, _ := r.since(next - 3); len(events) != 3 || events[0].GetEpoch() != eventsKept+7 {
		t.Errorf("the last three are %v", events)
	}
}

func TestTooLongRootIsRefused(t *testing.T) {
	_, err := New(Options{Arc: "arc", Dir: "/tmp/" + strings.Repeat("d", 100), Nodes: 1})
	if err == nil || !strings.Contains(err.Error(), "too long by") {
		t.Errorf("got %v", err)
	}
}
