package arctest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

var (
	alarmProfiles = flag.String("profiles", "lan", "profiles that are watched for false alarms, with commas; realtime is run with --realtime")
	alarmHosts    = flag.Int("alarm-hosts", 20, "how many nodes are watched for false alarms")
)

// Nodes share the processors with programs that never rest. Whatever happens
// is a false alarm; on a machine that does other things too there may be some.
func TestFalseAlarmsOnABusyMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("measures, and takes its time")
	}
	for profile := range strings.SplitSeq(*alarmProfiles, ",") {
		t.Run(profile, func(t *testing.T) { watchForAlarms(t, profile, runtime.NumCPU()) })
	}
}

// The same at rest, where there is no excuse.
func TestFalseAlarmsAtRest(t *testing.T) {
	for profile := range strings.SplitSeq(*alarmProfiles, ",") {
		t.Run(profile, func(t *testing.T) {
			if n := watchForAlarms(t, profile, 0); n > 0 {
				t.Errorf("%d times something happened at rest", n)
			}
		})
	}
}

// watchForAlarms leaves a ring alone, beside so many busy programs, and returns
// how often it lost a member or changed its leader. Suspicions and lost claims
// are told only.
func watchForAlarms(t *testing.T, profile string, busy int) int {
	args := []string{"--expect", strconv.Itoa(*alarmHosts), "--profile", profile}
	if profile == "realtime" {
		args = append(args, "--realtime")
	}
	c := newCluster(t, netlab.Options{Hosts: *alarmHosts}, args...)
	c.startAll()
	c.settle(3 * patience)
	began := time.Now()
	for range busy {
		burner := c.nodes[0].host.Start("/bin/sh", "-c", "while :; do :; done")
		defer burner.Kill()
	}
	time.Sleep(*alarmsFor)
	seen, count := map[string]bool{}, map[string]int{}
	for _, h := range c.log.since(began, kind("evicted", "leader_declared", "suspected", "claim_lost")) {
		key := fmt.Sprint(h.event.Type, h.event.Node, h.event.Term, text(h.event, "id"))
		switch h.event.Type {
		case "suspected":
			// Others hear of it from who suspects.
			if text(h.event, "by") != h.from {
				continue
			}
			key += h.at.String()
		case "claim_lost":
			if h.event.Node != h.from {
				continue
			}
			key += h.at.String()
		}
		// What happens to the ring all say.
		if !seen[key] {
			seen[key] = true
			count[h.event.Type]++
			t.Logf("false alarm %v after the start: %s", h.at.Sub(began).Round(time.Millisecond), h)
		}
	}
	t.Logf("%s, %d nodes, %d busy programs, %v: %d evictions, %d leader changes, %d suspicions, %d claim losses", profile, *alarmHosts, busy,
		*alarmsFor, count["evicted"], count["leader_declared"], count["suspected"], count["claim_lost"])
	c.settle(3 * patience)
	return count["evicted"] + count["leader_declared"]
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
