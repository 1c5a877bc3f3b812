package arctest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// BenchmarkFailover measures the time from a fault of the leader to the moment
// that the first of the others tells of the next leader's declaration, and to
// that one's claim. Run it on a quiet machine:
//
//	go test -run '^$' -bench Failover -benchtime 20x ./internal/netlab/arctest
func BenchmarkFailover(b *testing.B) {
	for _, profile := range []string{"lan", "fast"} {
		for _, f := range []struct {
			name       string
			begin, end func(n *node)
		}{
			{"crash", func(n *node) { n.kill() }, func(n *node) { n.start() }},
			{"hang", func(n *node) { n.proc.Stop() }, func(n *node) { n.proc.Continue() }},
			{"pull", func(n *node) { n.c.lab.Pull(n.host) }, func(n *node) { n.c.lab.Plug(n.host) }},
		} {
			b.Run(fmt.Sprintf("%s/%s/nodes=5", profile, f.name), func(b *testing.B) {
				c := ringOf(b, 5, "--profile", profile)
				var declared, claimed []time.Duration
				for range b.N {
					st := c.settle(patience)
					n := c.node(st.Leader.Name)
					// At any point of the renewals' and probes' rhythm.
					time.Sleep(lease + time.Duration(rand.Int64N(int64(lease))))
					began := time.Now()
					f.begin(n)
					n.cutOff = true
					declared = append(declared, c.firstAfter(began, "leader_declared", n))
					claimed = append(claimed, c.firstAfter(began, "claim_gained", n))
					f.end(n)
					n.cutOff = false
				}
				c.settle(patience)
				report(b, declared, "declared")
				report(b, claimed, "claimed")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// firstAfter waits for the first event of the type that another than n tells
// about another than n, and returns how long after began it was heard.
func (c *cluster) firstAfter(began time.Time, event string, n *node) time.Duration {
	c.t.Helper()
	var found []heard
	c.await(patience, event+" after the fault of "+n.name, func() bool {
		found = c.log.since(began, func(h heard) bool { return h.event.Type == event && h.from != n.name && h.event.Node != n.name })
		return len(found) > 0
	})
	return found[0].at.Sub(began)
}

func report(b *testing.B, times []time.Duration, what string) {
	slices.Sort(times)
	ms := func(share float64) float64 {
		return float64(times[min(len(times)-1, int(share*float64(len(times))))].Microseconds()) / 1000
	}
	b.ReportMetric(ms(0.5), what+"-p50-ms")
	b.ReportMetric(ms(0.9), what+"-p90-ms")
}
