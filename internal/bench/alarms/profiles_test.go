package alarms

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arc-ring/arc/internal/bench/report"
	"github.com/arc-ring/arc/internal/devring"
	"github.com/arc-ring/arc/internal/fakearc"
	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// An alarm of the ring is counted once, however many nodes tell it. An alarm of a
// node counts as the node itself tells it.
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
	began := noon
	w := &window{began: began, ended: began.Add(time.Minute), lostAt: map[string]time.Time{}}
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
		detail := map[string]any{}
		if e.kind == "claim_lost" {
			detail["why"] = "the lease ran out"
		}
		at := began.Add(e.at * time.Millisecond)
		w.see(observe.Event{At: at.Add(time.Second), By: r.Node(e.by).Name(), Event: fakearc.Event(&arcv1.Event{Time: timestamppb.New(at), Node: e.node, Epoch: 6, Term: 7}, e.kind, detail)})
	}
	if want := []Alarm{{At: after(40), What: "n2 evicted in epoch 6"}}; !slices.Equal(w.evictions, want) {
		t.Errorf("evictions %v, want %v", w.evictions, want)
	}
	if want := []Alarm{{At: after(42), What: "n1 declared in term 7"}}; !slices.Equal(w.leaders, want) {
		t.Errorf("leader changes %v, want %v", w.leaders, want)
	}
	if want := []Alarm{{At: after(1), What: "n1 lost its claim in term 7: the lease ran out"}}; !slices.Equal(w.losses, want) || w.lost != 30*time.Millisecond {
		t.Errorf("losses %v for %v, want %v for 30ms", w.losses, w.lost, want)
	}

	w.runs = []missed{{Run{3, 2}, "n1", time.Second}, {Run{9, 9}, "n2", time.Second}}
	q := &Quiet{Watched: []Watched{{Profile: "fast", Load: Busy}}}
	if err := q.Err(); err != nil {
		t.Errorf("the verdict without alarms: %v", err)
	}
	q.Watched[0].know(&arcv1.Settings{LeaderIntervalMs: 2, LeaderMisses: 3})
	q.Watched[0].take(&watchedRing{leader: "n1"}, w, Stalls{LongestMS: 227, StolenMS: 40, Ordinary: true, List: []Stall{{0, after(35), 12}, {1, after(20_000), 215}}})
	if n := q.Alarms(); n != 3 {
		t.Errorf("%d alarms, want 3", n)
	}
	out := t.TempDir()
	if err := report.Write(out, io.Discard, q); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(out, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	// The claim was lost 22 ms before the stall. Of the minute 12 + 215 ms are
	// stalls, and twice 8 + 5 ms are beside them.
	for _, line := range []string{
		"| claim losses (ms) | of these beside a stall (share of the time) |",
		"| fast | all processors busy | 1.0 | 1 | 1 | 0 | 1 (30.0) | 2 of 3 (0.4 %) | 2, raw 3 (3) | 227.0 ms, 40 ms (ordinary threads) |\n",
		"\nfast all processors busy: n2 evicted in epoch 6 (beside a stall of 12.0 ms)\n",
		"\nfast all processors busy: n1 lost its claim in term 7: the lease ran out\n",
	} {
		if !strings.Contains(string(page), line) {
			t.Errorf("no %q in\n%s", line, page)
		}
	}
	if err := q.Err(); err == nil || err.Error() != "3 false alarms, 1 of them not beside a stall of the machine" {
		t.Errorf("the verdict is %v", err)
	}
}
