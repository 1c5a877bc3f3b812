package observe

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/fakearc"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func declared(by, node string, term uint64) Event {
	detail := map[string]any{"id": node[1:], "term": strconv.FormatUint(term, 10)}
	return Event{At: time.Now(), By: by, Event: fakearc.Event(&arcv1.Event{Node: node, Term: term, Epoch: term}, "leader_declared", detail)}
}

// What all members say is held against each other as it comes in.
func TestWhatMembersSayIsJudged(t *testing.T) {
	r := NewRecorder()
	want := func(checks ...string) {
		t.Helper()
		found := r.Violations()
		for i := range found {
			found[i], _, _ = strings.Cut(found[i], ":")
		}
		if !slices.Equal(found, checks) {
			t.Errorf("found %v, want %v", r.Violations(), checks)
		}
	}
	claims := func(by string, term uint64, claiming bool, asked time.Duration) {
		at := r.began.Add(asked)
		r.AddAnswer(by, at, at.Add(1), &arcv1.StatusResponse{Self: by, Claiming: claiming, Term: term})
	}
	r.Add(declared("n1", "n1", 5))
	r.Add(declared("n2", "n1", 5))
	claims("n1", 5, true, 10)
	claims("n2", 5, false, 20)
	want()
	if r.Declared() != 1 {
		t.Errorf("%d declared", r.Declared())
	}
	r.Add(declared("n3", "n3", 6))
	claims("n3", 6, true, 30)
	claims("n1", 5, true, 40)
	want("G2", "G3") // n1 is the heir still
	r.CheckHistory("n2", &arcv1.HistoryResponse{Entries: []*arcv1.HistoryEntry{{Term: 5, Name: "n4"}}})
	want("G2", "G1", "G3")
}

func TestTheRecordIsBounded(t *testing.T) {
	r := NewRecorder()
	const more = 10
	for i := range kept + more {
		r.Add(Event{By: "n1", Event: fakearc.Event(&arcv1.Event{Epoch: uint64(i)}, "leader_declared", nil)}) // of token 0 each
	}
	events, next, _ := r.News(0)
	if next != kept+more || len(events) > kept || events[len(events)-1].GetEpoch() != kept+more-1 {
		t.Errorf("kept %d, next %d, last %v", len(events), next, events[len(events)-1])
	}
	if events, _, _ := r.News(next - 3); len(events) != 3 || events[0].GetEpoch() != kept+more-3 {
		t.Errorf("the last three are %v", events)
	}
	if got := len(r.Violations()); got != violationsKept {
		t.Errorf("%d violations are kept, want %d", got, violationsKept)
	}
}

// A stream that breaks is opened again, and who waits for an event hears of it.
func TestFollow(t *testing.T) {
	var streams atomic.Int64
	path := filepath.Join(t.TempDir(), client.SocketName)
	fake := &fakearc.Server{
		StatusFunc: func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
			return &arcv1.StatusResponse{Self: "n1", Claiming: true, Term: 5}, nil
		},
		WatchFunc: func(_ *arcv1.WatchRequest, s grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
			n := streams.Add(1)
			if err := s.Send(&arcv1.WatchResponse{Event: fakearc.Event(nil, "snapshot", nil)}); err != nil {
				return err
			}
			return s.Send(&arcv1.WatchResponse{Event: fakearc.Event(&arcv1.Event{Node: "n1", Term: 5, Epoch: uint64(n)}, "leader_declared", map[string]any{"term": "5"})})
		},
	}
	stop, err := fake.Serve(path)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	api, err := client.New("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = api.Close() }()
	r := NewRecorder()
	ctx, end := context.WithTimeout(t.Context(), patience)
	var over sync.WaitGroup
	over.Go(func() { r.Follow(ctx, "n1", "unix://"+path) })
	ev, err := r.AwaitEvent(ctx, 0, "of the third stream", func(ev Event) bool { return ev.GetEpoch() == 3 })
	if err != nil || ev.By != "n1" || ev.GetTerm() != 5 {
		t.Errorf("%v, %v", ev, err)
	}
	if st, err := r.Ask(ctx, "n1", api); err != nil || !st.GetClaiming() {
		t.Errorf("%v, %v", st, err)
	}
	end()
	over.Wait()
	if found := r.Violations(); len(found) > 0 { // each stream begins again
		t.Errorf("found %v", found)
	}
	if _, err := r.AwaitEvent(ctx, r.Mark(), "ever", func(Event) bool { return true }); err == nil || !strings.Contains(err.Error(), "no event ever") {
		t.Errorf("after the end: %v", err)
	}
}
