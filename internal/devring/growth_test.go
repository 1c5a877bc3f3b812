package devring

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/testwait"
)

// BenchmarkGrowth lets a ring grow to 100 real nodes, one after another, and
// reports what a join takes (from the start of the process to the first status
// that has it in the ring), what the leader's node and an average one need at
// rest, and what a crash of the leader costs, at several sizes. It takes some
// minutes:
//
//	go test ./internal/devring -run '^$' -bench Growth -benchtime 1x -v
func BenchmarkGrowth(b *testing.B) {
	const most, window = 100, 10 * time.Second
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	for b.Loop() {
		r := prepare(b, Options{Nodes: 1, LogLevel: "warn"})
		must(b, r.Node(1).Start())
		awaitRing(b, r, stepBound)
		var joins []time.Duration
		for size := 2; size <= most; size++ {
			n, err := r.Add()
			must(b, err)
			began := time.Now()
			must(b, n.Start())
			must(b, r.Until(within(b, stepBound), "to be in the ring", func(ctx context.Context) error {
				st, err := n.Status(ctx)
				if err == nil && (len(st.GetMembers()) != size || st.GetLeader() == nil) {
					err = fmt.Errorf("%s", Picture(st))
				}
				return err
			}))
			joins = append(joins, time.Since(began))
			if size != 10 && size != 20 && size != 50 && size != most {
				continue
			}
			join := Median(joins[len(joins)-5:])
			st := awaitRing(b, r, formBound)
			testwait.Real(2*time.Second, "in which the joins come to an end")
			before := map[*Node]usage{}
			for _, n := range r.Nodes() {
				before[n] = usageOf(b, n)
			}
			testwait.Real(window, "that is measured")
			var all, leader float64
			var rss []int64
			for _, n := range r.Nodes() {
				u := usageOf(b, n)
				cpu := 100 * (u.cpu - before[n].cpu).Seconds() / window.Seconds()
				all += cpu
				if n.Name() == st.GetLeader().GetName() {
					leader = cpu
				}
				rss = append(rss, u.rss)
			}
			slices.Sort(rss)
			var crashes []time.Duration
			for range 5 {
				ctx := within(b, 2*formBound)
				old := r.Named(st.GetLeader().GetName())
				f, err := r.Crash(ctx, st)
				if err != nil {
					b.Fatal(err)
				}
				crashes = append(crashes, f.Elsewhere)
				must(b, old.Wait(ctx))
				must(b, old.Start())
				st = awaitRing(b, r, formBound)
			}
			b.Logf("%3d nodes: join %4.0f ms, crash %5.1f ms (worst of 5: %.1f), CPU at rest %.2f %% of a core a node, %.2f the leader's, resident %d MiB a node (largest %d)",
				size, ms(join), ms(Median(crashes)), ms(slices.Max(crashes)), all/float64(size), leader, rss[len(rss)/2]>>20, rss[len(rss)-1]>>20)
			b.ReportMetric(ms(join), fmt.Sprintf("ms-join@%d", size))
			b.ReportMetric(ms(Median(crashes)), fmt.Sprintf("ms-crash@%d", size))
			b.ReportMetric(all/float64(size), fmt.Sprintf("%%cpu@%d", size))
			b.ReportMetric(leader, fmt.Sprintf("%%cpu-leader@%d", size))
		}
	}
	b.ReportMetric(0, "ns/op")
}
