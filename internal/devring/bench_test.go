package devring

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/testwait"
)

// BenchmarkFailover reports the median time from the fault to the claim and to
// the declaration seen at another node, for a crash (kill -9 of the leader's
// coordinator, its monitor alive) and a hang (SIGSTOP), in each profile, in a
// ring of five. One failover is one iteration:
//
//	go test ./internal/devring -run '^$' -bench Failover -benchtime 20x
func BenchmarkFailover(b *testing.B) {
	for _, profile := range []string{"fast", "lan"} {
		for _, fault := range []string{"crash", "hang"} {
			b.Run(fmt.Sprintf("profile=%s/fault=%s", profile, fault), func(b *testing.B) { benchFailover(b, profile, fault) })
		}
	}
}

func benchFailover(b *testing.B, profile, fault string) {
	r, st := whole(b, Options{Nodes: 5, Profile: profile, LogLevel: "warn"})
	var claim, elsewhere []time.Duration
	b.ResetTimer()
	for b.Loop() {
		b.StartTimer()
		ctx := within(b, stepBound)
		old := r.Named(st.GetLeader().GetName())
		var f Failover
		var err error
		if fault == "crash" {
			f, err = r.Crash(ctx, st)
		} else {
			f, err = r.Hang(ctx, st)
		}
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		if f.New != st.GetHeir() {
			b.Errorf("%s took over, the heir was %s", f.New, st.GetHeir())
		}
		claim, elsewhere = append(claim, f.Claim), append(elsewhere, f.Elsewhere)
		// The next failover starts from a whole ring of five.
		if fault == "crash" {
			must(b, old.Wait(ctx))
			must(b, old.Start())
		} else {
			awaitRing(b, r, stepBound)
			must(b, old.Cont())
		}
		st = awaitRing(b, r, stepBound)
		b.StartTimer()
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(Median(claim)), "ms-to-claim")
	b.ReportMetric(ms(Median(elsewhere)), "ms-to-seen-elsewhere")
}

// BenchmarkAtRest reports what the costliest node of a quiet ring of five
// needs, coordinator and monitor together, over ten seconds.
func BenchmarkAtRest(b *testing.B) {
	r, _ := whole(b, Options{Nodes: 5})
	const window = 10 * time.Second
	for b.Loop() {
		before := map[*Node]usage{}
		for _, n := range r.Nodes() {
			before[n] = usageOf(b, n)
		}
		testwait.Real(window, "that is measured")
		var cpu, rss float64
		for _, n := range r.Nodes() {
			u := usageOf(b, n)
			cpu = max(cpu, 100*(u.cpu-before[n].cpu).Seconds()/window.Seconds())
			rss = max(rss, float64(u.rss)/(1<<20))
		}
		b.ReportMetric(cpu, "%cpu")
		b.ReportMetric(rss, "MiB")
	}
	b.ReportMetric(0, "ns/op")
}

type usage struct {
	cpu time.Duration
	rss int64
}

// usageOf adds up a node's two processes, as the kernel counts them.
func usageOf(t testing.TB, n *Node) usage {
	t.Helper()
	monitor, err := n.MonitorPID()
	must(t, err)
	var u usage
	for _, pid := range []int{n.PID(), monitor} {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		must(t, err)
		_, rest, ok := strings.Cut(string(stat), ") ") // the name may hold blanks
		fields := strings.Fields(rest)
		if !ok || len(fields) < 22 {
			t.Fatalf("stat of process %d is %q", pid, stat)
		}
		for _, i := range []int{11, 12} { // utime, stime in ticks of 10 ms
			ticks, err := strconv.ParseInt(fields[i], 10, 64)
			must(t, err)
			u.cpu += time.Duration(ticks) * 10 * time.Millisecond
		}
		pages, err := strconv.ParseInt(fields[21], 10, 64)
		must(t, err)
		u.rss += pages * int64(os.Getpagesize())
	}
	return u
}
