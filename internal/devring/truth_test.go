package devring

import (
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/testwait"
)

// A leader that loses everybody else says so within its lease, names whom it
// needs, and when they are back the history says for how long nobody led.
func TestALeaderWithoutTheOthersTellsTheTruth(t *testing.T) {
	t.Parallel()
	const outage = 7600 * time.Millisecond
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	leader := r.Named(st.GetLeader().GetName())
	lease := time.Duration(st.GetSettings().GetLeaseMs()) * time.Millisecond
	var others []*Node
	for _, n := range r.Nodes() {
		if n != leader {
			others = append(others, n)
		}
	}
	freeze(t, others...)
	began := time.Now()
	for {
		asked := time.Now()
		out, errs, code := arc(t, "--addr", leader.Addr(), "leader")
		if code == 3 {
			t.Logf("it says so after %v: %s", time.Since(began).Round(time.Millisecond), errs)
			if out != "" || !strings.Contains(errs, "this node") || !strings.Contains(errs, "needs one of ") {
				t.Errorf("arc leader prints %q, %q; want nothing, and whom it needs", out, errs)
			}
			break
		}
		// What was asked before the end of the lease may be answered after it.
		if asked.Sub(began) > lease {
			t.Fatalf("%v after the others stopped, arc leader exits %d: %q %q", asked.Sub(began), code, out, errs)
		}
	}
	if out, _, _ := arc(t, "--addr", leader.Addr(), "status", "-o", "json"); !strings.Contains(out, `"leader":null`) {
		t.Errorf("arc status says %s", out)
	}
	testwait.Real(time.Until(began.Add(outage)), "which is the rest of the outage")
	thaw(t, others...)
	awaitRing(t, r, stepBound)
	led := time.Since(began)

	c, err := leader.Client()
	must(t, err)
	h, err := c.History(within(t, stepBound), 0)
	must(t, err)
	entries := h.GetEntries()
	last := entries[len(entries)-1]
	gap := last.GetGapMs()
	if k := len(last.GetInterruptions()); k > 0 && last.GetTerm() == st.GetTerm() {
		gap = last.GetInterruptions()[k-1].GetGapMs()
	}
	shortest := float64((outage - lease).Milliseconds())
	if gap < shortest || gap > float64(led.Milliseconds()) {
		t.Errorf("nobody led for about %v, the history says %.1f ms: %v", outage, gap, last)
	}
	t.Logf("the history says %.1f ms (%q, %s)", gap, last.GetEvidence(), last.GetWhy())
}
