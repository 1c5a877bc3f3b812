package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arc-ring/arc/internal/fakearc"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// The file has an event of each type, as the contract has it, from before events
// were typed on the wire. What is printed is the same, byte for byte.
func TestEventsKeepTheirJSON(t *testing.T) {
	want, err := os.ReadFile("testdata/events.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	f := newFactory()
	f.out, f.json = &out, true
	types := map[string]bool{}
	for _, line := range bytes.Split(bytes.TrimSpace(want), []byte("\n")) {
		var e struct {
			Type   string
			Detail map[string]any
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		types[e.Type] = true
		if err := f.printJSON(fakearc.Event(headOf(t, line), e.Type, e.Detail)); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.Bytes(); !bytes.Equal(got, want) {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
	kinds := (&arcv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("detail").Fields()
	for i := range kinds.Len() {
		if name := string(kinds.Get(i).Name()); !types[name] {
			t.Errorf("the file has no %s", name)
		}
	}
}

// What says the same as the field beside it is left out for people, and so is how long
// nobody led while that is not over.
func TestAnEventLineSaysNothingTwice(t *testing.T) {
	for want, ev := range map[string]*arcv1.Event{
		"  by=n1  evidence=refused  id=2  incarnation=9":         {Detail: &arcv1.Event_Suspected{Suspected: &arcv1.Suspicion{Id: 2, Incarnation: 9, By: "n1", Evidence: "refused", Why: "refused"}}},
		`  by=n1  id=2  incarnation=9  why="answers again"`:      {Detail: &arcv1.Event_Cleared{Cleared: &arcv1.Suspicion{Id: 2, Incarnation: 9, By: "n1", Why: "answers again"}}},
		"  after=n1  evidence=silent  id=2  seen_by=n3":          {Detail: &arcv1.Event_LeaderDeclared{LeaderDeclared: &arcv1.HistoryEntry{Id: 2, After: "n1", Evidence: "silent", SeenBy: "n3", GapMs: 3.9, CertainGapMs: 3.9}}},
		"  certain_gap_ms=10.5  claimed=true  gap_ms=11.1  id=2": {Detail: &arcv1.Event_LeaderDeclared{LeaderDeclared: &arcv1.HistoryEntry{Id: 2, GapMs: 11.1, CertainGapMs: 10.5, Claimed: true}}},
		`  exit="signal: killed"  id=2  incarnation=9`:           {Detail: &arcv1.Event_Certified{Certified: &arcv1.Certified{Id: 2, Incarnation: 9, Exit: "signal: killed", Why: "signal: killed"}}},
	} {
		if got := details(ev); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// headOf is what a line says beside type and detail.
func headOf(t *testing.T, line []byte) *arcv1.Event {
	t.Helper()
	var head map[string]json.RawMessage
	if err := json.Unmarshal(line, &head); err != nil {
		t.Fatal(err)
	}
	delete(head, "type")
	delete(head, "detail")
	b, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	ev := &arcv1.Event{}
	if err := protojson.Unmarshal(b, ev); err != nil {
		t.Fatal(err)
	}
	return ev
}

// Whatever zone the machine has, times are those of the logs and of arc status.
func TestEventsAreTimedInUTC(t *testing.T) {
	zone := time.Local
	time.Local = time.FixedZone("elsewhere", 5*3600)
	defer func() { time.Local = zone }()
	var out bytes.Buffer
	line(&out, "%s", eventText(fakearc.Event(&arcv1.Event{Time: timestamppb.New(founded), Node: "n1", Epoch: 2, Term: 7}, "left", map[string]any{"id": "1"})))
	if got, want := out.String(), "03:04:05.678Z  left             n1          token 7 epoch 2  id=1\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
