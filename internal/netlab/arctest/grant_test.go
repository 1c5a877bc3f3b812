package arctest

import (
	"context"
	"testing"
	"time"
)

// A pulled cable of the leader costs the grant and not the lease, which is so
// long here that the two cannot be mistaken for one another.
func TestAPullCostsTheGrantNotTheLease(t *testing.T) {
	const patientLease = 10 * time.Second
	c := ringOf(t, 5)
	st := c.settle(patience)
	leader := c.node(st.Leader.Name)
	watcher := at(st, memberIndex(st, leader.name)-1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := leader.api.SetSettings(ctx, map[string]string{"hang_after_ms": "0", "lease_ms": "10000",
		"leader_interval_ms": "500", "leader_misses": "3", "leader_grants": "true"}); err != nil {
		t.Fatal(err)
	}
	// The leader relies on a grant once some probes in a row came in time; its
	// claim is then as long as the grant, and longer than the lease that was.
	c.await(patience, "that the claim ends with a grant", func() bool {
		st, err := leader.api.Status(ctx)
		left := time.Duration(st.GetLeaseMs() * float64(time.Millisecond))
		return err == nil && st.GetClaiming() && left > lease && left < 2*time.Second
	})
	began := time.Now()
	c.lab.Pull(leader.host)
	leader.cutOff = true
	next := c.settle(patience)
	if took := time.Since(began); took > patientLease*3/4 {
		t.Errorf("%s leads %v after the pull: that is the lease's end, not the grant's", next.Leader.Name, took)
	} else {
		t.Logf("%s leads, closed over the living %v after the pull; the lease is %v", next.Leader.Name, took.Round(time.Millisecond), patientLease)
	}
	h, err := c.node(next.Leader.Name).api.History(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if e := h.GetEntries()[0]; e.GetEvidence() != "silent" || e.GetSeenBy() != watcher {
		t.Errorf("the history says %q, seen by %q; want silent, seen by %q", e.GetEvidence(), e.GetSeenBy(), watcher)
	}
	c.lab.Plug(leader.host)
	leader.cutOff = false
	c.settle(patience)
}
