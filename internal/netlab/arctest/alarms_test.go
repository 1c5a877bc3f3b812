package arctest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
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
	c := newCluster(t, netlab.Options{Hosts: 24}, "--expect", "24")
	c.startAll()
	before := c.settle(3 * patience)
	time.Sleep(*alarmsFor)
	if after := c.settle(patience); after.Epoch != before.Epoch || after.Term != before.Term {
		t.Errorf("at rest epoch and term went from %d, %d to %d, %d", before.Epoch, before.Term, after.Epoch, after.Term)
	}
}

// What a node costs that has nothing to do, both processes together. Figures
// are told, not asserted: the machine may be busy with other things.
func TestCostAtRest(t *testing.T) {
	c := ringOf(t, 5)
	leader := c.settle(patience).Leader.Name
	for _, n := range c.nodes {
		n.closeEyes() // asking costs too
	}
	const rest = 5 * time.Second
	before := map[string]time.Duration{}
	for _, n := range c.nodes {
		before[n.name], _ = n.cost()
	}
	time.Sleep(rest)
	for _, n := range c.nodes {
		used, resident := n.cost()
		role := "follows"
		if n.name == leader {
			role = "leads"
		}
		t.Logf("%s %s: %.2f %% of a core, %d MiB resident", n.name, role, 100*(used-before[n.name]).Seconds()/rest.Seconds(), resident>>20)
		n.openEyes()
	}
}

// cost is the processor time used so far and the memory resident now of all
// processes on the node's host.
func (n *node) cost() (used time.Duration, resident int64) {
	n.c.t.Helper()
	for _, p := range n.host.Processes() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
		if err != nil {
			n.c.t.Fatal(err)
		}
		// The fields after the name, which may hold anything.
		fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
		for _, i := range []int{11, 12} { // utime, stime in 1/100 s
			ticks, err := strconv.ParseInt(fields[i], 10, 64)
			if err != nil {
				n.c.t.Fatal(err)
			}
			used += time.Duration(ticks) * 10 * time.Millisecond
		}
		pages, err := strconv.ParseInt(fields[21], 10, 64)
		if err != nil {
			n.c.t.Fatal(err)
		}
		resident += pages * int64(os.Getpagesize())
	}
	return used, resident
}
