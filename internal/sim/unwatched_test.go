package sim

import (
	"fmt"
	"testing"
	"time"
)

// TestUnwatchedMember lets a member's power fail while the monitor before it
// does not run, which lasts. The ring has to close over the living all the
// same, and soon: while the fault lasts.
func TestUnwatchedMember(t *testing.T) {
	for _, name := range []string{"realtime", "fast", "lan", "wan"} {
		st := profile(name)
		for _, c := range []struct {
			kind  FaultKind
			nodes int
			lost  int           // the machine that is lost
			extra time.Duration // until the leader asks it something
			why   string
		}{
			{PauseMonitor, 5, 3, st.RenewEvery(), "a voter, and nobody knows that the monitor is stopped"},
			{NoMonitor, 5, 3, st.RenewEvery(), "a voter, and the leader is told"},
			{NoMonitor, 12, 10, st.Detection(false), "a learner, and the leader is told"},
			{PauseMonitor, 12, 10, 5 * st.Lease(), "a learner, which gets every fifth heartbeat"},
		} {
			t.Run(fmt.Sprintf("%s/%s/%d", name, c.kind, c.nodes), func(t *testing.T) {
				rtt := time.Millisecond
				if name == "wan" {
					rtt = 80 * time.Millisecond
				}
				// The silence, the look of the one who is asked, the leader's own.
				bound := c.extra + st.Detection(false) + 2*st.OwnProbe() + 6*rtt + 20*time.Millisecond
				seeds := 10
				if raceDetector || testing.Short() {
					seeds = 2
				}
				each(seeds, func(i int) {
					lost := Target(c.lost)
					at := 8*st.Lease() + 2*time.Second + time.Duration(i)*17*time.Millisecond
					r := Run(Options{Seed: uint64(i + 1), Nodes: c.nodes, Length: at + 4*bound, Plan: []Fault{
						{At: at / 2, Kind: c.kind, Who: lost - 1, With: lost - 1, For: time.Hour},
						{At: at, Kind: Crash, Who: lost, With: lost, For: time.Hour},
					}, World: func(w *World) {
						w.Profile, w.Settings = name, st
						w.Net = Network{Base: 150 * time.Microsecond, Jitter: 300 * time.Microsecond}
						if name == "wan" {
							w.Net.Base, w.Net.Jitter = 30*time.Millisecond, 10*time.Millisecond
						}
						w.Spares, w.Witnesses, w.Leads, w.Early, w.Formed = 0, nil, nil, false, true
						w.Rates, w.Lazy = w.Rates[:c.nodes], w.Lazy[:c.nodes]
						w.Cycle, w.Quiet = time.Hour, 0
					}})
					if r.Failure != nil {
						report(t, r)
						return
					}
					for _, e := range r.Evicted {
						if e.At > at {
							if took := e.At - at; took > bound {
								t.Errorf("seed %d, %s: %s is evicted after %v, want at most %v", i+1, c.why, e.Node, took, bound)
							}
							return
						}
					}
					t.Errorf("seed %d, %s: nobody is evicted within %v", i+1, c.why, 4*bound)
				})
			})
		}
	}
}

// A member that only the leader cannot reach stays, however long that lasts:
// the member that is asked to look reaches it.
func TestMemberThatOnlyTheLeaderCannotReachStays(t *testing.T) {
	each(10, func(i int) {
		st := profile("lan")
		r := Run(Options{Seed: uint64(i + 1), Nodes: 5, Length: 40 * time.Second, Plan: []Fault{
			{At: 5 * time.Second, Kind: NoMonitor, Who: 2, With: 2, For: time.Hour},
			{At: 10 * time.Second, Kind: Cut, Who: TheLeader, With: 3, For: time.Hour},
		}, World: func(w *World) {
			w.Profile, w.Settings = "lan", st
			w.Net = Network{Base: 150 * time.Microsecond, Jitter: 300 * time.Microsecond}
			w.Spares, w.Witnesses, w.Leads, w.Early, w.Formed = 0, nil, nil, false, true
			w.Rates, w.Lazy = w.Rates[:5], w.Lazy[:5]
			w.Cycle, w.Quiet = time.Hour, 0
		}})
		if r.Failure != nil {
			report(t, r)
			return
		}
		if len(r.Evicted) > 0 {
			t.Errorf("seed %d: %v is evicted, though all but the leader reach it", i+1, r.Evicted)
		}
	})
}
