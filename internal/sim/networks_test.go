package sim

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// With two networks, one after the other is lost, of each machine in each direction and
// of all at once: nobody is suspected, no claim ends, and nothing is written.
func TestOneNetworkOfTwoIsNothing(t *testing.T) {
	for _, name := range []string{"realtime", "fast", "lan"} {
		t.Run(name, func(t *testing.T) {
			each(8, func(i int) {
				const from, until = 10 * time.Second, 60 * time.Second
				var faults []Fault
				for at, k := from, 0; at < until-time.Second; at, k = at+300*time.Millisecond, k+1 {
					faults = append(faults, Fault{At: at, Kind: OneNetwork, Who: Target(k / 2 % 5), For: 299 * time.Millisecond, N: k%2 + k/10%4*2})
				}
				r := Run(Options{Seed: uint64(i + 1), Nodes: 5, Length: until, Plan: faults, World: func(w *World) {
					w.Profile, w.Settings, w.Networks = name, profile(name), 2
					w.Net = Network{Base: 150 * time.Microsecond, Jitter: 300 * time.Microsecond}
					w.Spares, w.Witnesses, w.Leads, w.Early, w.Together, w.Bridges, w.Moves = 0, nil, nil, false, false, false, false
					w.Lazy = slices.Repeat([]time.Duration{50 * time.Microsecond}, 5) // or grants lapse for a moment
					w.Cycle, w.Quiet = until, 0
				}})
				if r.Failure != nil {
					t.Errorf("seed %d: %v", i+1, r.Failure)
				}
				if n := r.Stats.Named["fault: one-network"]; n != len(faults) {
					t.Errorf("seed %d: %d faults of %d", i+1, n, len(faults))
				}
				if last := r.Claims[len(r.Claims)-1]; last.From > from || last.To < until-time.Second || len(r.Evicted) > 0 {
					t.Errorf("seed %d: claims %v, evicted %v", i+1, r.Claims, r.Evicted)
				}
				for what, n := range r.Stats.Named {
					if strings.HasPrefix(what, "monitor: suspect") || what == "monitor: testimonies" {
						t.Errorf("seed %d: %d times %s", i+1, n, what)
					}
				}
			})
		})
	}
}

// Each of two networks carries messages in one direction only, so no stream stands between
// the two machines. That is a cut, and neither has to lead.
func TestNetworksOfOneDirectionEachCutMachinesOff(t *testing.T) {
	const from, lasts = 10 * time.Second, 8 * time.Second
	intoFirst := Fault{At: from, Kind: OneNetwork, Who: 0, With: 0, For: lasts, N: 0 + 2*2}
	intoOther := Fault{At: from, Kind: OneNetwork, Who: 1, With: 1, For: lasts, N: 1 + 2*2}
	r := Run(Options{Seed: 1, Nodes: 2, Length: 30 * time.Second, Plan: []Fault{intoFirst, intoOther}, World: func(w *World) {
		w.Profile, w.Settings, w.Networks, w.Strays = "lan", profile("lan"), 2, false
		w.Net = Network{Base: 150 * time.Microsecond, Jitter: 300 * time.Microsecond}
		w.Spares, w.Witnesses, w.Leads, w.Early, w.Together, w.Bridges, w.Moves = 0, nil, nil, false, false, false, false
		w.Cycle, w.Quiet = 30*time.Second, 5*time.Second
	}})
	if r.Failure != nil {
		t.Fatal(r.Failure)
	}
	for _, c := range r.Claims {
		if c.From < from+lasts && c.To > from+2*time.Second {
			t.Errorf("%s claims from %v to %v, while the other one is cut off", c.Node, c.From, c.To)
		}
	}
	if last := r.Claims[len(r.Claims)-1]; last.To < 29*time.Second {
		t.Errorf("the last claim ended at %v", last.To)
	}
}
