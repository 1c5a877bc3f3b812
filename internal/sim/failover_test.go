package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/arc-ring/arc/ring"
)

// TestFailover measures for each way in which a leader may be lost how long
// nobody claims, in a ring of five on a quiet network, and holds it against
// what the settings promise.
func TestFailover(t *testing.T) {
	for _, name := range []string{"realtime", "fast", "lan", "wan"} {
		st := profile(name)
		rtt := time.Millisecond
		if name == "wan" {
			rtt = 80 * time.Millisecond
		}
		elect := 12*rtt + 2*st.Stagger() + 10*time.Millisecond
		for _, loss := range []struct {
			kind FaultKind
			why  string
			most time.Duration // from the fault to the next claim
		}{
			{Kill, "certified: the promises are void at once", 5*time.Millisecond + elect},
			{KillBoth, "no certificate: the promises have to run out", st.Lease() + st.Lease()/50 + elect},
			{Crash, "silence: the watcher has to notice too", max(st.Detection(true), st.Lease()+st.Lease()/50) + elect},
			{Pause, "silence", max(st.Detection(true), st.Lease()+st.Lease()/50) + elect},
			{Isolate, "silence", max(st.Detection(true), st.Lease()+st.Lease()/50) + elect},
			{OpHandover, "a planned change", 2 * elect},
		} {
			t.Run(fmt.Sprintf("%s/%s", name, loss.kind), func(t *testing.T) {
				seeds := 40
				if raceDetector || testing.Short() {
					seeds = 4
				}
				gaps := make([]time.Duration, seeds)
				each(seeds, func(i int) { gaps[i] = gapAfter(t, uint64(i+1), name, st, loss.kind) })
				slices.Sort(gaps)
				t.Logf("%s: median %v, 90 %% %v, worst %v, bound %v", loss.why, gaps[seeds/2], gaps[seeds*9/10], gaps[seeds-1], loss.most)
				if gaps[seeds-1] > loss.most {
					t.Errorf("%s: nobody claims for %v, want at most %v", loss.why, gaps[seeds-1], loss.most)
				}
			})
		}
	}
}

// gapAfter is how long after the fault the next leader claims; for a planned
// change, how long nobody claims.
func gapAfter(t *testing.T, seed uint64, name string, st ring.Settings, kind FaultKind) time.Duration {
	at := 20*time.Second + time.Duration(seed)*17*time.Millisecond
	r := Run(Options{Seed: seed, Nodes: 5, Length: 40 * time.Second, Plan: []Fault{{At: at, Kind: kind, Who: TheLeader, With: TheLeader, For: 15 * time.Second}}, World: func(w *World) {
		w.Profile, w.Settings = name, st
		w.Net = Network{Base: 150 * time.Microsecond, Jitter: 300 * time.Microsecond}
		if name == "wan" {
			w.Net.Base, w.Net.Jitter = 30*time.Millisecond, 10*time.Millisecond
		}
		w.Spares, w.Witnesses, w.Leads, w.Early = 0, nil, nil, false
		w.Cycle, w.Quiet = time.Hour, 0
	}})
	if r.Failure != nil {
		report(t, r)
		return 0
	}
	before := -1
	for i, c := range r.Claims {
		if c.From <= at && c.To > at-time.Second {
			before = i
		}
	}
	for _, c := range r.Claims {
		if c.From > at && before >= 0 && c.Term > r.Claims[before].Term {
			if kind == OpHandover {
				return c.From - r.Claims[before].To
			}
			return c.From - at
		}
	}
	t.Errorf("seed %d: nobody claims after %v: %v", seed, at, r.Claims)
	return 0
}
