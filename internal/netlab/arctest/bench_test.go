package arctest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/testwait"
)

// benchHosts are the sizes of the rings that are measured.
var benchHosts = []int{5, 20}

// benchProfiles are the timing profiles that are measured; realtime-1x4 is
// realtime with the leader's link at 1 ms and 4 misses.
var benchProfiles = []string{"lan", "fast", "realtime", "realtime-1x4"}

// mishap is something that happens to a leader, and its end.
type mishap struct {
	name       string
	begin, end func(n *node)
}

var (
	crash = mishap{"crash", func(n *node) { n.kill() }, func(n *node) { n.start() }}
	hang  = mishap{"hang", func(n *node) { n.proc.Stop() }, func(n *node) { n.proc.Continue() }}
	pull  = mishap{"pull", func(n *node) { n.c.lab.Pull(n.host) }, func(n *node) { n.c.lab.Plug(n.host) }}
)

// BenchmarkFailover measures, by the times that the nodes themselves give
// their events, how long after a fault of the leader the first of the others
// knows the next leader's declaration (first), all of them do (all), how far
// these are apart (spread), and when the new one claims (claim). Connects are
// the connections that all survivors together tried to open meanwhile. Run it on
// a quiet machine:
//
//	go test -run '^$' -bench Failover -benchtime 20x .
func BenchmarkFailover(b *testing.B) {
	for _, hosts := range benchHosts {
		for _, profile := range benchProfiles {
			for _, f := range []mishap{crash, hang, pull} {
				b.Run(fmt.Sprintf("hosts=%d/%s/%s", hosts, profile, f.name), func(b *testing.B) {
					c := benchRing(b, hosts, profile)
					var m measured
					for range b.N {
						n := c.quietLeader(profile)
						m.add(c.failover(f, n))
						f.end(n)
						n.cutOff = false
					}
					c.settle(patience)
					m.report(b, "")
				})
			}
		}
	}
}

// BenchmarkSecondFault measures a fault of the leader 0.3 s after another one,
// and after the end of one:
//
//	go test -run '^$' -bench SecondFault -benchtime 10x .
func BenchmarkSecondFault(b *testing.B) {
	for _, profile := range benchProfiles {
		for _, v := range []struct {
			name          string
			first, second mishap
			heal          bool
		}{
			{"crash-crash", crash, crash, false},
			{"pull-crash", pull, crash, false},
			{"pull-pull", pull, pull, false},
			{"pull-heal-crash", pull, crash, true},
			{"pull-heal-pull", pull, pull, true},
		} {
			b.Run(fmt.Sprintf("hosts=7/%s/%s", profile, v.name), func(b *testing.B) {
				c := benchRing(b, 7, profile)
				var once, again measured
				for range b.N {
					n := c.quietLeader(profile)
					once.add(c.failover(v.first, n))
					if v.heal {
						v.first.end(n)
					}
					testwait.Real(300*time.Millisecond, "between the two faults")
					second := c.node(c.leaderNow(n))
					again.add(c.failover(v.second, second))
					if !v.heal {
						v.first.end(n)
					}
					n.cutOff = false
					v.second.end(second)
					second.cutOff = false
				}
				c.settle(patience)
				once.report(b, "1st-")
				again.report(b, "2nd-")
			})
		}
	}
}

// benchRing is a ring that is disturbed little by being looked at. Its hosts
// have disks of memory: on one real disk they would wait for each other, which
// hosts do not.
func benchRing(b *testing.B, hosts int, profile string) *cluster {
	o := netlab.Options{Hosts: hosts, DiskBytes: 64 << 20}
	if *realDisk {
		o.DiskBytes = 0
	}
	name, quicker, _ := strings.Cut(profile, "-")
	args := []string{"--expect", fmt.Sprint(hosts), "--profile", name, "--log-level", "info"}
	if name == "realtime" {
		args = append(args, "--realtime")
	}
	c := newCluster(b, o, args...)
	c.poll = 250 * time.Millisecond
	c.startAll()
	c.settle(patience)
	if quicker != "" {
		c.nodes[0].mustArc("config", "set", "leader_interval_ms=1", "leader_misses=4")
		c.settle(patience)
	}
	return c
}

// quietLeader waits until all is well, and then for some point of the rhythm
// of renewals and probes.
func (c *cluster) quietLeader(profile string) *node {
	st := c.settle(patience)
	yieldToNodes()
	testwait.Real(lease+time.Duration(rand.Int64N(int64(lease))), "until some point of the rhythm")
	return c.node(st.Leader.Name)
}

// yieldToNodes lets this process's threads run only where no node wants the
// processor: reading what twenty nodes tell takes as long as telling it. What
// it starts is not affected.
func yieldToNodes() {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		// At worst the nodes look slower.
		_ = unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
	}
}

// leaderNow is the newest leader that a member other than n tells of.
func (c *cluster) leaderNow(n *node) string {
	var name string
	var term uint64
	for _, h := range c.log.Heard(time.Time{}, kind("leader_declared")) {
		if h.By != n.name && h.Term > term {
			name, term = h.Node, h.Term
		}
	}
	return name
}

// outcome is what one fault cost.
type outcome struct {
	first, all, claim time.Duration
	connects          int
}

// failover lets the fault happen to the leader n, which counts as cut off
// from then on.
func (c *cluster) failover(f mishap, n *node) outcome {
	c.t.Helper()
	var survivors []*node
	for _, s := range c.up() {
		if s != n {
			survivors = append(survivors, s)
		}
	}
	term := uint64(0)
	for _, h := range c.log.Heard(time.Time{}, kind("leader_declared", "snapshot")) {
		term = max(term, h.Term)
	}
	before := dialled(c.t, survivors)
	n.cutOff = true
	began := time.Now()
	f.begin(n)
	told := map[string]time.Duration{}
	claim := time.Duration(-1)
	c.await(patience, "all survivors of the "+f.name+" of "+n.name+" know a new leader", func() bool {
		for _, h := range c.log.Heard(began, kind("leader_declared", "claim_gained", "snapshot")) {
			at := h.Event.GetTime().AsTime().Sub(began)
			switch {
			case h.By == n.name || h.Term <= term:
			case h.GetClaimGained() != nil:
				if claim < 0 {
					claim = at
				}
			// A snapshot: too busy a machine has cost it its place meanwhile.
			case told[h.By] == 0:
				told[h.By] = max(at, 1)
			}
		}
		return len(told) == len(survivors) && claim >= 0
	})
	o := outcome{first: patience, claim: claim}
	for _, at := range told {
		o.first, o.all = min(o.first, at), max(o.all, at)
	}
	for n, d := range dialled(c.t, survivors) {
		o.connects += d.tried - before[n].tried
	}
	return o
}

// measured are the outcomes of a benchmark.
type measured []outcome

func (m *measured) add(o outcome) { *m = append(*m, o) }

func (m measured) report(b *testing.B, prefix string) {
	figures := func(what string, of func(outcome) float64) {
		list := make([]float64, len(m))
		for i, o := range m {
			list[i] = of(o)
		}
		slices.Sort(list)
		b.ReportMetric(list[len(list)/2], prefix+what+"-p50")
		b.ReportMetric(list[min(len(list)-1, len(list)*9/10)], prefix+what+"-p90")
		b.ReportMetric(list[len(list)-1], prefix+what+"-max")
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	figures("first-ms", func(o outcome) float64 { return ms(o.first) })
	figures("all-ms", func(o outcome) float64 { return ms(o.all) })
	figures("spread-ms", func(o outcome) float64 { return ms(o.all - o.first) })
	figures("claim-ms", func(o outcome) float64 { return ms(o.claim) })
	figures("connects", func(o outcome) float64 { return float64(o.connects) })
	b.ReportMetric(0, "ns/op")
}
