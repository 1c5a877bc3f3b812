package arctest

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

// Twenty nodes share the processors with programs that never rest. Every
// eviction and change of the leader is a false alarm.
func TestFalseAlarmsOnABusyMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("measures, and takes its time")
	}
	c := newCluster(t, netlab.Options{Hosts: 20}, "--expect", "20")
	c.startAll()
	c.settle(3 * patience)
	began := time.Now()
	for range 2 {
		burner := c.nodes[0].host.Start("/bin/sh", "-c", "while :; do :; done")
		defer burner.Kill()
	}
	time.Sleep(*alarmsFor)
	seen := map[string]bool{}
	for _, h := range c.log.since(began, kind("evicted", "leader_declared")) {
		key := h.event.Type + " " + h.event.Node + " " + text(h.event, "id")
		if !seen[key] {
			seen[key] = true
			t.Logf("false alarm %v after the start: %s", h.at.Sub(began).Round(time.Millisecond), h)
		}
	}
	t.Logf("%d false alarms in %v among 20 busy nodes", len(seen), *alarmsFor)
	c.settle(3 * patience)
}

// The same at rest, where there is no excuse.
func TestNothingHappensAtRest(t *testing.T) {
	c := newCluster(t, netlab.Options{Hosts: 5}, "--expect", "5")
	c.startAll()
	before := c.settle(patience)
	time.Sleep(min(*alarmsFor, 10*time.Second))
	if after := c.settle(patience); after.Epoch != before.Epoch {
		t.Errorf("at rest the epoch went from %d to %d", before.Epoch, after.Epoch)
	}
}
