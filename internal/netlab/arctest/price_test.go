package arctest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/testwait"
)

// priced are rings that differ in what a failover and rest are compared for.
var priced = []struct {
	name     string
	networks int
	clear    bool
}{
	{"clear", 1, true},
	{"tls", 1, false},
	{"clear-2-networks", 2, true},
	{"tls-2-networks", 2, false},
}

// pricedRings starts a ring of each kind. All are there at the same time, so that
// they have the same machine, at the same moments.
func pricedRings(t testing.TB, hosts int, profile string) (rings []*cluster) {
	for _, kind := range priced {
		o := netlab.Options{Hosts: hosts, Networks: kind.networks, DiskBytes: 64 << 20}
		c := newCluster(t, o, "--expect", fmt.Sprint(hosts), "--profile", profile, "--log-level", "info")
		c.clear, c.poll = kind.clear, 250*time.Millisecond
		c.startAll()
		rings = append(rings, c)
	}
	for _, c := range rings {
		c.settle(patience)
	}
	return rings
}

// BenchmarkPrice measures what TLS and a second network cost a failover. The rings
// have their faults in turns. Of three hosts two are left, which is one processor each
// on a machine that has two:
//
//	go test -run '^$' -bench Price/hosts=5/lan -benchtime 20x .
func BenchmarkPrice(b *testing.B) {
	for _, hosts := range []int{5, 3} {
		for _, profile := range []string{"lan", "fast"} {
			for _, f := range []mishap{crash, pull} {
				b.Run(fmt.Sprintf("hosts=%d/%s/%s", hosts, profile, f.name), func(b *testing.B) { price(b, hosts, profile, f) })
			}
		}
	}
}

func price(b *testing.B, hosts int, profile string, f mishap) {
	rings := pricedRings(b, hosts, profile)
	outcomes := make([]measured, len(rings))
	for i := range b.N {
		for j := range rings {
			k := (i + j) % len(rings) // nobody is always first
			n := rings[k].quietLeader(profile)
			outcomes[k].add(rings[k].failover(f, n))
			f.end(n)
			n.cutOff = false
		}
	}
	for k, m := range outcomes {
		m.reportClaim(b, priced[k].name)
	}
}

// What a node costs that has nothing to do, both processes together: in the clear and
// with TLS, on one network and on two, at the same time. Figures are told, not
// asserted: the machine may be busy with other things.
func TestCostAtRest(t *testing.T) {
	rings := pricedRings(t, 5, "lan")
	before, leaders := map[*node]time.Duration{}, map[*cluster]string{}
	for _, c := range rings {
		leaders[c] = c.settle(patience).Leader.Name
		for _, n := range c.nodes {
			n.closeEyes() // asking costs too
		}
	}
	for _, c := range rings {
		for _, n := range c.nodes {
			before[n], _ = n.cost()
		}
	}
	testwait.Real(*restFor, "that is measured")
	all := make([]float64, len(rings))
	for k, c := range rings {
		for _, n := range c.nodes {
			used, resident := n.cost()
			share := 100 * (used - before[n]).Seconds() / restFor.Seconds()
			all[k] += share / float64(len(c.nodes))
			role := "follows"
			if n.name == leaders[c] {
				role = "leads"
			}
			t.Logf("%s: %s %s: %.2f %% of a core, %d MiB resident", priced[k].name, n.name, role, share, resident>>20)
		}
	}
	for _, c := range rings {
		for _, n := range c.nodes {
			n.openEyes()
		}
	}
	for k, share := range all {
		t.Logf("%s: a node takes %.2f %% of a core, %.2f times that of the first", priced[k].name, share, share/all[0])
	}
}

// reportClaim reports the time until the next leader claims: its median, and what a
// quarter of the trials stayed below and above.
func (m measured) reportClaim(b *testing.B, name string) {
	var all []float64
	for _, o := range m {
		all = append(all, float64(o.claim.Microseconds())/1000)
	}
	slices.Sort(all)
	for _, q := range []struct {
		name string
		at   int
	}{{"p25", len(all) / 4}, {"p50", len(all) / 2}, {"p75", len(all) * 3 / 4}} {
		b.ReportMetric(all[q.at], name+"-ms-"+q.name)
	}
	b.ReportMetric(0, "ns/op")
}
