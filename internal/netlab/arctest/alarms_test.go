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
	"github.com/arc-ring/arc/internal/testwait"
)

var (
	alarmProfiles = flag.String("profiles", "lan", "profiles that are watched for false alarms, with commas; realtime is run with --realtime")
	alarmHosts    = flag.Int("alarm-hosts", 20, "how many nodes are watched for false alarms")
)

// Nodes share the processors with programs that never rest. Whatever happens
// is a false alarm; on a machine that does other things too there may be some.
func TestFalseAlarmsOnABusyMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: watches for false alarms among busy programs")
	}
	for profile := range strings.SplitSeq(*alarmProfiles, ",") {
		t.Run(profile, func(t *testing.T) {
			c := startWatched(t, profile)
			for range runtime.NumCPU() {
				burner := c.nodes[0].host.Start("/bin/sh", "-c", "while :; do :; done")
				defer burner.Kill()
			}
			t.Logf("beside %d busy programs", runtime.NumCPU())
			c.falseAlarms(profile)
		})
	}
}

// The same at rest, where there is no excuse, unless the machine was not at
// rest: then it says nothing and is tried again.
func TestFalseAlarmsAtRest(t *testing.T) {
	for profile := range strings.SplitSeq(*alarmProfiles, ",") {
		t.Run(profile, func(t *testing.T) {
			c := startWatched(t, profile)
			for range 3 {
				unrest := watchUnrest()
				n := c.falseAlarms(profile)
				switch why := unrest(); {
				case n == 0:
					return
				case why == "":
					t.Errorf("%d times something happened at rest", n)
					return
				default:
					t.Logf("this says nothing: %s", why)
				}
			}
			t.Skip("this machine was too busy at each try to be called at rest")
		})
	}
}

func startWatched(t *testing.T, profile string) *cluster {
	args := []string{"--expect", strconv.Itoa(*alarmHosts), "--profile", profile}
	if profile == "realtime" {
		args = append(args, "--realtime")
	}
	c := newCluster(t, netlab.Options{Hosts: *alarmHosts}, args...)
	c.startAll()
	c.settle(3 * patience)
	return c
}

// watchUnrest looks at the machine until the returned function is called, which
// says why the machine was not at rest, or nothing: for a whole quarter of a
// second it was busy, or stood still.
func watchUnrest() (ended func() string) {
	const look = 250 * time.Millisecond
	stop, why := make(chan struct{}), make(chan string, 1)
	go func() {
		said := ""
		last := time.Now()
		idle, total := cpuTicks()
		for {
			select {
			case <-stop:
				why <- said
				return
			case <-time.After(look):
			}
			i, all := cpuTicks()
			switch took := time.Since(last); {
			case took > 2*look:
				said = fmt.Sprintf("the machine stood still for %v", (took - look).Round(time.Millisecond))
			case (i-idle)*10 < all-total:
				said = fmt.Sprintf("of %d ticks the processors were idle for %d", all-total, i-idle)
			}
			last, idle, total = time.Now(), i, all
		}
	}()
	return func() string { close(stop); return <-why }
}

// cpuTicks are those of all processors, as /proc/stat counts them.
func cpuTicks() (idle, total int) {
	stat, _ := os.ReadFile("/proc/stat") // where there is none nothing is known
	line, _, _ := strings.Cut(string(stat), "\n")
	for i, field := range strings.Fields(line) {
		if n, err := strconv.Atoi(field); err == nil && i <= 8 { // guests are counted twice
			total += n
			if i == 4 || i == 5 { // idle, and waiting for a disk
				idle += n
			}
		}
	}
	return idle, total
}

// falseAlarms leaves a ring alone for a while and returns how often it lost a
// member or changed its leader. Suspicions and lost claims are told only.
func (c *cluster) falseAlarms(profile string) int {
	t := c.t
	t.Helper()
	began := time.Now()
	testwait.Real(*alarmsFor, "in which every alarm is a false one")
	seen, count := map[string]bool{}, map[string]int{}
	for _, h := range c.log.Heard(began, kind("evicted", "leader_declared", "suspected", "claim_lost")) {
		key := fmt.Sprint(h.Type(), h.Node, h.Term, h.GetSuspected().GetId(), h.GetEvicted().GetId())
		switch h.Type() {
		case "suspected":
			// Others hear of it from who suspects.
			if h.GetSuspected().GetBy() != h.By {
				continue
			}
			key += h.At.String()
		case "claim_lost":
			if h.Node != h.By {
				continue
			}
			key += h.At.String()
		}
		// What happens to the ring all say.
		if !seen[key] {
			seen[key] = true
			count[h.Type()]++
			t.Logf("false alarm %v after the start: %s", h.At.Sub(began).Round(time.Millisecond), h)
		}
	}
	t.Logf("%s, %d nodes, %v: %d evictions, %d leader changes, %d suspicions, %d claim losses", profile, *alarmHosts, *alarmsFor,
		count["evicted"], count["leader_declared"], count["suspected"], count["claim_lost"])
	c.settle(3 * patience)
	return count["evicted"] + count["leader_declared"]
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
