package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// scaled is what a ring of a size does at rest, and at a loss.
type scaled struct {
	ordinary, busiest, leader float64 // messages sent and received by a member per second
	total                     float64
	failover, known           time.Duration // a leader's crash, until the next claims, and until all know
	evicted                   time.Duration // an ordinary member's crash, until it is evicted
}

const (
	scaleRest  = 2 * time.Second
	scaleQuiet = 3 * time.Second
)

// atScale lets a ring rest, then takes an ordinary member's power, then the
// leader's.
func atScale(tb testing.TB, nodes int, profileName string) scaled {
	tb.Helper()
	world := func(w *World) {
		w.Profile, w.Settings = profileName, profile(profileName)
		w.Net = Network{Base: 150 * time.Microsecond, Jitter: 300 * time.Microsecond}
		w.Spares, w.Witnesses, w.Leads, w.Early, w.Formed = 0, nil, nil, false, true
		w.Rates, w.Lazy = w.Rates[:nodes], w.Lazy[:nodes]
		w.Cycle, w.Quiet = time.Hour, 0
	}
	run := func(o Options) *Result {
		o.Seed, o.Nodes, o.World = 1, nodes, world
		r := Run(o)
		if r.Failure != nil {
			tb.Fatalf("%d members: %v", nodes, r.Failure)
		}
		return r
	}
	var x scaled
	lost := scaleRest + scaleQuiet
	crash := lost + 3*time.Second
	r := run(Options{Length: crash + 2*time.Second, CountFrom: scaleRest, CountTo: lost, Plan: []Fault{
		{At: lost, Kind: Crash, Who: Target(nodes - 1), With: Target(nodes - 1), For: time.Hour},
		{At: crash, Kind: Crash, Who: TheLeader, With: TheLeader, For: time.Hour},
	}})
	leader := r.Claims[0].Node
	var ordinary []int
	for _, t := range r.Traffic {
		n := t.Sent + t.Received
		x.total += float64(t.Sent)
		switch {
		case t.Node == leader:
			x.leader = float64(n)
		case !t.Voter:
			ordinary = append(ordinary, n)
		}
	}
	if len(ordinary) > 0 {
		slices.Sort(ordinary)
		x.ordinary, x.busiest = float64(ordinary[len(ordinary)/2]), float64(ordinary[len(ordinary)-1])
	}
	for _, v := range []*float64{&x.ordinary, &x.busiest, &x.leader, &x.total} {
		*v /= scaleQuiet.Seconds()
	}
	for _, e := range r.Evicted {
		if x.evicted == 0 && e.At > lost {
			x.evicted = e.At - lost
		}
	}
	for _, c := range r.Claims {
		if x.failover == 0 && c.From > crash {
			x.failover = c.From - crash
		}
	}
	know := 0
	for _, e := range r.Known {
		if e.At > crash {
			know++
			x.known = e.At - crash
		}
	}
	if know != nodes-2 {
		tb.Errorf("%d members: %d learn of the new leader, want %d", nodes, know, nodes-2)
	}
	return x
}

// A ring of hundreds costs its members at rest what one of ten costs them; the
// benchmark goes on to a thousand.
func TestRestDoesNotGrowWithTheRing(t *testing.T) {
	sizes := []int{10, 100, 300}
	if raceDetector || testing.Short() {
		sizes = []int{10, 50}
	}
	for _, name := range []string{"lan", "realtime"} {
		t.Run(name, func(t *testing.T) {
			var all []scaled
			for _, n := range sizes {
				x := atScale(t, n, name)
				t.Logf("%4d members: per second %.1f messages at an ordinary one (busiest %.1f), %.1f at the leader, %.0f in all; %v until the next leader after a crash, %v until all know, %v until a dead member is out",
					n, x.ordinary, x.busiest, x.leader, x.total, x.failover, x.known, x.evicted)
				all = append(all, x)
			}
			small, large := all[0], all[len(all)-1]
			for _, c := range []struct {
				what         string
				small, large float64
			}{{"an ordinary member", small.ordinary, large.ordinary}, {"the busiest ordinary member", small.busiest, large.busiest}, {"the leader", small.leader, large.leader}} {
				if c.large > 1.05*c.small+1 {
					t.Errorf("%s: %.1f messages per second in a ring of %d, %.1f in one of %d", c.what, c.large, sizes[len(sizes)-1], c.small, sizes[0])
				}
			}
			st := profile(name)
			if most := max(st.Detection(true), st.Lease()+st.Lease()/50) + 2*st.Stagger() + 50*time.Millisecond; large.failover > most {
				t.Errorf("the next leader after %v, want at most %v", large.failover, most)
			}
		})
	}
}

// BenchmarkScale says what rings of up to a thousand members do.
func BenchmarkScale(b *testing.B) {
	for _, name := range []string{"lan", "realtime"} {
		for _, nodes := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("%s/members=%d", name, nodes), func(b *testing.B) {
				for b.Loop() {
					x := atScale(b, nodes, name)
					b.ReportMetric(x.ordinary, "msgs/s/member")
					b.ReportMetric(x.leader, "msgs/s/leader")
					b.ReportMetric(x.total, "msgs/s")
					b.ReportMetric(float64(x.failover.Microseconds())/1000, "failover-ms")
					b.ReportMetric(float64(x.known.Microseconds())/1000, "all-know-ms")
					b.ReportMetric(float64(x.evicted.Microseconds())/1000, "evicted-ms")
				}
			})
		}
	}
}
