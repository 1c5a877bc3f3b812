package devring

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func said(kind, node string, term uint64, detail map[string]any) Event {
	s, err := structpb.NewStruct(detail)
	if err != nil {
		panic(err)
	}
	return Event{By: &Node{name: "n1"}, Event: &arcv1.Event{Type: kind, Node: node, Term: term, Detail: s}}
}

func TestChecker(t *testing.T) {
	declared := func(node, id string, term uint64) Event {
		return said("leader_declared", node, term, map[string]any{"id": id})
	}
	type step struct {
		stream string
		ev     Event
	}
	cases := []struct {
		name  string
		steps []step
		want  string // "" means nothing is wrong
	}{
		{"rising", []step{{"a", said("snapshot", "n1", 4, nil)}, {"a", declared("n1", "1", 5)}, {"a", declared("n2", "2", 9)}}, ""},
		{"two streams tell the same", []step{{"a", declared("n1", "1", 5)}, {"b", declared("n1", "1", 5)}}, ""},
		{"a later stream begins again", []step{{"a", declared("n1", "1", 5)}, {"a2", said("snapshot", "n1", 5, nil)}, {"a2", declared("n2", "2", 6)}}, ""},
		{"same token twice in a stream", []step{{"a", declared("n1", "1", 5)}, {"a", declared("n1", "1", 5)}}, "token 5 of n1 after token 5"},
		{"falling behind the snapshot", []step{{"a", said("snapshot", "n1", 7, nil)}, {"a", declared("n1", "1", 5)}}, "token 5 of n1 after token 7"},
		{"two leaders in a term", []step{{"a", declared("n1", "1", 5)}, {"b", declared("n2", "2", 5)}}, "term 5 has two leaders: n1 (id 1) and n2 (id 2)"},
		{"one name, two ids in a term", []step{{"a", declared("n1", "1", 5)}, {"b", declared("n1", "3", 5)}}, "term 5 has two leaders"},
		{"two claims of a term", []step{{"a", said("claim_gained", "n1", 5, map[string]any{"term": "5"})}, {"b", said("claim_gained", "n2", 5, map[string]any{"term": "5"})}}, "term 5 is claimed by both n1 and n2"},
		{"an id twice", []step{{"a", said("joined", "n1", 5, map[string]any{"id": "3"})}, {"a", said("joined", "n2", 5, map[string]any{"id": "3"})}}, "id 3 was given to both n1 and n2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			check := newChecker()
			for _, s := range c.steps {
				check.see(s.ev, s.stream)
			}
			got := strings.Join(check.found, "; ")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestCheckerHistory(t *testing.T) {
	check := newChecker()
	check.see(said("leader_declared", "n1", 5, map[string]any{"id": "1"}), "a")
	check.history("n3", &arcv1.HistoryResponse{Entries: []*arcv1.HistoryEntry{{Term: 5, Name: "n2", Id: 2}, {Term: 4, Name: "n1", Id: 1}}})
	got := strings.Join(check.found, "\n")
	for _, want := range []string{"term 5 has two leaders", "token 4 of n1 after token 5"} {
		if !strings.Contains(got, want) {
			t.Errorf("found %q, want %q in it", got, want)
		}
	}
}

func TestExpectedHeir(t *testing.T) {
	st := func(leader uint64, names ...string) *arcv1.StatusResponse {
		s := &arcv1.StatusResponse{Leader: &arcv1.NodeRef{Id: leader}}
		for i, name := range names {
			s.Members = append(s.Members, &arcv1.MemberStatus{Id: uint64(i + 1), Name: name, Alive: true})
		}
		return s
	}
	led := func(names ...string) *arcv1.HistoryResponse {
		h := &arcv1.HistoryResponse{}
		for i, name := range names {
			h.Entries = append(h.Entries, &arcv1.HistoryEntry{Term: uint64(i + 1), Name: name})
		}
		return h
	}
	suspect := st(1, "a", "b", "c")
	suspect.Members[1].Alive = false
	witness := st(1, "a", "b", "c")
	witness.Members[1].Witness = true
	cases := []struct {
		name string
		st   *arcv1.StatusResponse
		h    *arcv1.HistoryResponse
		want string
	}{
		{"nobody led", st(1, "a", "b", "c"), led("a"), "b"},
		{"most recent", st(3, "a", "b", "c"), led("b", "a", "c"), "a"},
		{"the leader led before, too", st(3, "a", "b", "c"), led("c", "b", "c"), "b"},
		{"who led is gone", st(1, "a", "b"), led("x", "a"), "b"},
		{"suspects do not count", suspect, led("b", "a"), "c"},
		{"witnesses do not count", witness, led("a"), "c"},
		{"alone", st(1, "a"), led("a"), ""},
	}
	for _, c := range cases {
		if got := expectedHeir(c.st, c.h); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
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
