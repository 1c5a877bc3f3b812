package bench

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// One crash of one leader of three, measured as any other. The figure itself is
// not judged here.
func TestSmoke(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: builds arc and runs three of it")
	}
	saved := 0
	results, err := Run(t.Context(), Options{
		Only: []string{"arc/lan"}, Hosts: []int{3}, Faults: []string{"kill"}, Trials: 1,
		Idle: 100 * time.Millisecond, IdleHosts: []int{3},
		Cache: t.TempDir(), Offline: true, Say: t.Logf,
		Save: func(*Results) error { saved++; return nil },
	})
	if errors.Is(err, errDenied) {
		t.Skipf("needs root, to make network namespaces: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(results.Failover) != 1 || len(results.Failover[0].First) != 1 || len(results.Costs) != 1 {
		t.Fatalf("measured %+v; skipped %+v", results.Failover, results.Skipped)
	}
	f, c := results.Failover[0], results.Costs[0]
	if f.First[0] <= 0 || f.All[0] < f.First[0] {
		t.Errorf("the first knew after %v ms, all after %v ms", f.First[0], f.All[0])
	}
	if f.Labs != 1 {
		t.Errorf("measured in %d labs, want alone", f.Labs)
	}
	if c.CPUPerMinute <= 0 || c.SentPerNode <= 0 || c.ResidentPerNode < 1<<20 {
		t.Errorf("three nodes at rest cost %+v", c)
	}
	if saved < 2 {
		t.Errorf("saved %d times, want after the case and at the end", saved)
	}
}

// A program that cannot be had is skipped with a word, and the run goes on.
func TestMissingProgramsAreSkipped(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var said []string
	results, err := Run(t.Context(), Options{
		Only: []string{"etcd/default"}, Hosts: []int{3}, Cache: t.TempDir(), Offline: true,
		Say:  func(format string, _ ...any) { said = append(said, format) },
		Save: func(*Results) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(results.Skipped) != 1 || results.Skipped[0].System != "etcd/default" || results.Skipped[0].Why != errOffline.Error() {
		t.Errorf("skipped %+v", results.Skipped)
	}
	if len(said) == 0 {
		t.Error("without a word")
	}
}

func TestAStageTurnsComplaintsIntoErrors(t *testing.T) {
	st := &labTB{say: t.Logf}
	var order []int
	st.Cleanup(func() { order = append(order, 1) })
	st.Cleanup(func() { order = append(order, 2) })
	cause := errors.New("cause")
	if err := st.do(func() error { st.Fatalf("no: %w", cause); return nil }); !errors.Is(err, cause) {
		t.Errorf("got %v, want the complaint", err)
	}
	if err := st.do(func() error { st.Skipf("needs root"); return nil }); !errors.Is(err, errDenied) {
		t.Errorf("got %v, want that it is denied", err)
	}
	st.end()
	if !slices.Equal(order, []int{2, 1}) {
		t.Errorf("cleaned up in the order %v, want last in first out", order)
	}
}

// An interrupted run says so and leaves nothing behind.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, Options{Only: []string{"keepalived"}, Hosts: []int{3}, Cache: t.TempDir(), Offline: true, Say: t.Logf, Save: func(*Results) error { return nil }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was canceled", err)
	}
}

var _ netlab.T = (*labTB)(nil)
