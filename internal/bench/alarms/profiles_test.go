package alarms

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/arc-ring/arc/internal/devring"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// What happens to the ring is counted once, whoever says so; what happens to a
// node counts as it says itself.
func TestWhatCountsAsAnAlarm(t *testing.T) {
	dir, err := os.MkdirTemp("", "al")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r, err := devring.New(devring.Options{Arc: "arc", Dir: dir, Nodes: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	began := time.Now()
	w := &window{lostAt: map[string]time.Time{}}
	for _, e := range []struct {
		at   time.Duration
		by   int
		kind string
		node string
	}{
		{1, 1, "claim_lost", "n1"},
		{1, 2, "claim_lost", "n1"},
		{5, 2, "claim_gained", "n1"},
		{31, 1, "claim_gained", "n1"},
		{40, 1, "evicted", "n2"},
		{41, 2, "evicted", "n2"},
		{42, 1, "leader_declared", "n1"},
		{43, 2, "leader_declared", "n1"},
		{44, 2, "relinked", "n2"},
		{45, 1, "claim_gained", "n1"},
	} {
		detail, err := structpb.NewStruct(map[string]any{"why": "the lease ran out"})
		if err != nil {
			t.Fatal(err)
		}
		w.see(devring.Event{At: began.Add(e.at * time.Millisecond), By: r.Node(e.by), Event: &arcv1.Event{Type: e.kind, Node: e.node, Epoch: 6, Term: 7, Detail: detail}})
	}
	if want := []string{"n2 evicted in epoch 6"}; !slices.Equal(w.evictions, want) {
		t.Errorf("evictions %q, want %q", w.evictions, want)
	}
	if want := []string{"n1 declared in term 7"}; !slices.Equal(w.leaders, want) {
		t.Errorf("leader changes %q, want %q", w.leaders, want)
	}
	if want := []string{"n1 lost its claim in term 7: the lease ran out"}; !slices.Equal(w.losses, want) || w.lost != 30*time.Millisecond {
		t.Errorf("losses %q for %v, want %q for 30ms", w.losses, w.lost, want)
	}

	w.seconds, w.runs = 60, []missed{{Run{3, 2}, "n1", time.Second}, {Run{9, 9}, "n2", time.Second}}
	q := &Quiet{Watched: []Watched{{Profile: "fast", Load: Busy, Misses: 5}}}
	q.Watched[0].take(&bed{leader: "n1"}, w)
	if n := q.Alarms(); n != 3 {
		t.Errorf("%d alarms, want 3", n)
	}
	var text strings.Builder
	if err := q.WriteMarkdown(&text); err != nil {
		t.Fatal(err)
	}
	if row := "| fast | all processors busy | 1.0 | 1 | 1 | 0 | 1 (30.0) | 2, raw 3 (5) | 0.0 ms, 0 ms |\n"; !strings.Contains(text.String(), row) {
		t.Errorf("no row %q in\n%s", row, &text)
	}
}
