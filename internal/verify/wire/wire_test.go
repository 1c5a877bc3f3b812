package wire

import (
	"fmt"
	"strings"
	"testing"

	"github.com/arc-ring/arc/internal/fakearc"
	"github.com/arc-ring/arc/internal/verify"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func said(kind, node string, epoch, term uint64, detail map[string]any) *arcv1.Event {
	return fakearc.Event(&arcv1.Event{Node: node, Epoch: epoch, Term: term}, kind, detail)
}

func TestEvents(t *testing.T) {
	leads := func(epoch uint64, node, id, term, why string) *arcv1.Event {
		return said("leader_declared", node, epoch, 9, map[string]any{"id": id, "term": term, "why": why, "after": "a"})
	}
	joins := func(epoch uint64, node, id string, returned bool) *arcv1.Event {
		return said("joined", node, epoch, 9, map[string]any{"id": id, "returned": returned})
	}
	founded := []*arcv1.Event{said("snapshot", "a", 1, 0, nil), joins(1, "a", "1", false), leads(2, "a", "1", "5", ""), joins(3, "b", "2", false), joins(4, "c", "3", false)}
	for _, c := range []struct {
		name string
		then []*arcv1.Event
		want string // "" means nothing is wrong
	}{
		{"founded", nil, ""},
		{"the heir leads", []*arcv1.Event{said("evicted", "a", 5, 9, map[string]any{"id": "1"}), leads(5, "b", "2", "6", "")}, ""},
		{"another than the heir", []*arcv1.Event{said("left", "a", 5, 9, map[string]any{"id": "1"}), leads(5, "c", "3", "6", "")}, "G3: epoch 5: c (id 3)"},
		{"by handover", []*arcv1.Event{leads(5, "c", "3", "6", "handover, asked for at b")}, ""},
		{"by who leaves", []*arcv1.Event{leads(5, "b", "2", "6", "a leaves")}, ""},
		{"by who leaves, to another than the heir", []*arcv1.Event{leads(5, "c", "3", "6", "a leaves")}, "G3"},
		{"the token is that of the declaration", []*arcv1.Event{leads(5, "a", "1", "6", ""), leads(5, "a", "1", "7", "")}, ""},
		{"the token falls", []*arcv1.Event{leads(5, "a", "1", "4", "")}, "G1: s: token 4"},
		{"a stream begins again", []*arcv1.Event{said("snapshot", "a", 4, 4, nil), leads(2, "a", "1", "5", "")}, ""},
		{"a member is back under its id", []*arcv1.Event{joins(5, "b", "2", true)}, ""},
		{"an id of two members", []*arcv1.Event{joins(5, "d", "2", false)}, "ids: id 2"},
		{"a claim of who is declared", []*arcv1.Event{said("claim_gained", "a", 5, 9, map[string]any{"term": "5"})}, ""},
		{"a claim of another", []*arcv1.Event{said("claim_gained", "b", 5, 9, map[string]any{"term": "5"})}, "G3: b claims with token 5"},
		{"what is no change", []*arcv1.Event{said("suspected", "b", 5, 9, nil), said("claim_lost", "b", 5, 9, nil)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := &verify.Checker{}
			var found []verify.Violation
			for _, ev := range append(founded[:len(founded):len(founded)], c.then...) {
				found = append(found, Event(check, "s", 1, ev)...)
			}
			found = append(found, check.Replay()...)
			if got := strings.Trim(fmt.Sprint(found), "[]"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestHistory(t *testing.T) {
	check := &verify.Checker{}
	Event(check, "s", 1, said("leader_declared", "n1", 1, 5, map[string]any{"id": "1", "term": "5"}))
	right := &arcv1.HistoryResponse{Entries: []*arcv1.HistoryEntry{{Term: 5, Name: "n1", Id: 1}, {Term: 6, Name: "n2", Id: 2}}}
	for range 2 {
		if found := History(check, "n3", right); found != nil {
			t.Errorf("found %v in a right history", found)
		}
	}
	got := fmt.Sprint(History(check, "n3", &arcv1.HistoryResponse{Entries: []*arcv1.HistoryEntry{{Term: 5, Name: "n2", Id: 2}, {Term: 4, Name: "n1", Id: 1}}}))
	for _, want := range []string{"token 5 is declared by n1 (id 1) and by n2 (id 2)", "history of n3: token 4 of n1 (id 1) after token 5"} {
		if !strings.Contains(got, want) {
			t.Errorf("found %q, want %q in it", got, want)
		}
	}
}

func TestHeir(t *testing.T) {
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
		if got := Heir(c.st, c.h); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
