package devring

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/testwait"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// oneRing checks that all nodes say the same, with one leader that was the
// first, and who monitors whom by ids.
func oneRing(t *testing.T, r *Ring, st *arcv1.StatusResponse) {
	t.Helper()
	if n := len(st.GetMembers()); n != len(r.Running()) {
		t.Errorf("%d members, want %d", n, len(r.Running()))
	}
	if got := r.Declared(); got != 1 {
		t.Errorf("%d leaderships while it formed, want 1", got)
	}
	claims := 0
	for _, n := range r.Running() {
		s, err := n.Status(within(t, stepBound))
		must(t, err)
		if s.GetClaiming() {
			claims++
		}
	}
	if claims != 1 {
		t.Errorf("%d nodes claim, want 1", claims)
	}
}

func TestRingFormsAtOnce(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{Nodes: 5, Profile: calm})
	startAll(t, r)
	began := time.Now()
	st := awaitRing(t, r, formBound)
	t.Logf("5 nodes formed in %v: %s", time.Since(began).Round(time.Millisecond), Picture(st))
	oneRing(t, r, st)
}

func TestRingFormsInAnyOrder(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{Nodes: 5, Profile: calm})
	nodes := r.Nodes()
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for i, n := range nodes {
		if i > 0 {
			testwait.Real(time.Duration(rand.Int64N(int64(1500*time.Millisecond))), "between two starts")
		}
		must(t, n.Start())
	}
	began := time.Now()
	st := awaitRing(t, r, formBound)
	t.Logf("formed %v after the fifth started: %s", time.Since(began).Round(time.Millisecond), Picture(st))
	oneRing(t, r, st)
}

func TestRingOfTwentyForms(t *testing.T) {
	r := prepare(t, Options{Nodes: 20, Profile: calm, LogLevel: "warn"})
	startAll(t, r)
	began := time.Now()
	st := awaitRing(t, r, 2*formBound)
	t.Logf("20 nodes formed in %v", time.Since(began).Round(time.Millisecond))
	oneRing(t, r, st)
}

func TestRingOfOneMonitorsNobody(t *testing.T) {
	t.Parallel()
	_, st := whole(t, Options{Nodes: 1, Profile: calm})
	if m := st.GetMembers()[0]; m.GetMonitors() != "" || !st.GetClaiming() {
		t.Errorf("alone: monitors %q, claiming %v", m.GetMonitors(), st.GetClaiming())
	}
}
