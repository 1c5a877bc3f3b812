package sim

import (
	"testing"
	"time"
)

// plainWorld has a good network and nothing but the faults of a plan.
func plainWorld(prof string) func(w *World) {
	return func(w *World) {
		w.Profile, w.Settings = prof, profile(prof)
		w.Net = Network{Base: 150 * time.Microsecond, Jitter: 300 * time.Microsecond}
		w.Spares, w.Witnesses, w.Leads, w.Early = 0, nil, nil, false
		w.Cycle, w.Quiet = time.Hour, 0
	}
}

// joinOrder returns which machine joined as which member, by id from 1 on.
func joinOrder(t *testing.T, seed uint64, nodes int, prof string) []int {
	t.Helper()
	r := Run(Options{Seed: seed, Nodes: nodes, Length: 15 * time.Second, Plan: []Fault{}, World: plainWorld(prof)})
	if r.Failure != nil {
		t.Fatalf("seed %d: %v", seed, r.Failure)
	}
	if len(r.Joined) != nodes {
		t.Fatalf("seed %d: %d members joined, want %d", seed, len(r.Joined), nodes)
	}
	return r.Joined
}

// unled is the longest time without a claim from an instant on.
func unled(r *Result, from time.Duration) time.Duration {
	covered, longest := from, time.Duration(0)
	for _, c := range r.Claims {
		if c.To > covered {
			longest = max(longest, c.From-covered)
			covered = c.To
		}
	}
	return max(longest, r.Options.Length-covered)
}

// lasting is a fault that lasts to the end of the run, in a ring of five.
type lasting struct {
	name   string
	faults func(order []int, prof string, at time.Duration) []Fault
}

func cuts(at time.Duration, a int, others ...int) (fs []Fault) {
	for _, b := range others {
		fs = append(fs, Fault{At: at, Kind: Cut, Who: Target(a), With: Target(b), For: time.Hour})
	}
	return fs
}

var lastings = []lasting{
	{"the heir sees only one voter, the leader is killed", func(o []int, _ string, at time.Duration) []Fault {
		return append(cuts(at, o[1], o[3], o[4]), Fault{At: at + time.Second, Kind: Kill, Who: Target(o[0]), For: time.Hour})
	}},
	{"the heir sees only one voter, the leader loses its power", func(o []int, _ string, at time.Duration) []Fault {
		return append(cuts(at, o[1], o[3], o[4]), Fault{At: at + time.Second, Kind: Crash, Who: Target(o[0]), For: time.Hour})
	}},
	{"star: the fourth sees all, the others see only it", func(o []int, _ string, at time.Duration) []Fault {
		fs := append(cuts(at, o[0], o[1], o[2], o[4]), cuts(at, o[1], o[2], o[4])...)
		return append(fs, cuts(at, o[2], o[4])...)
	}},
	{"handover to a member that only the leader sees", func(o []int, _ string, at time.Duration) []Fault {
		return append(cuts(at, o[2], o[1], o[3], o[4]), Fault{At: at + time.Second, Kind: OpHandover, Who: Target(o[2]), With: Target(o[2]), N: 1})
	}},
	{"bridge: the leader reaches one of the four others", func(o []int, _ string, at time.Duration) []Fault {
		return cuts(at, o[0], o[2], o[3], o[4])
	}},
	{"the leader is heard and hears nobody", func(o []int, _ string, at time.Duration) []Fault {
		return []Fault{{At: at, Kind: Deaf, Who: Target(o[0]), With: Target(o[0]), For: time.Hour}}
	}},
	{"the leader hears and is not heard", func(o []int, _ string, at time.Duration) []Fault {
		return []Fault{{At: at, Kind: IsolateOneWay, Who: Target(o[0]), With: Target(o[0]), For: time.Hour}}
	}},
	{"chain", func(o []int, _ string, at time.Duration) []Fault {
		fs := append(cuts(at, o[0], o[2], o[3], o[4]), cuts(at, o[1], o[3], o[4])...)
		return append(fs, cuts(at, o[2], o[4])...)
	}},
	{"the heir's disk takes two leases for a sync, the leader is killed", slowHeir(2)},
	{"the heir's disk takes five leases for a sync, the leader is killed", slowHeir(5)},
	{"the heir's disk takes twenty leases for a sync, the leader is killed", slowHeir(20)},
	{"the leader's disk takes five leases for a sync", func(o []int, prof string, at time.Duration) []Fault {
		return []Fault{{At: at, Kind: StuckDisk, Who: Target(o[0]), With: Target(o[0]), N: 5 * int(profile(prof).LeaseMS), For: time.Hour}}
	}},
}

func slowHeir(leases int) func(o []int, prof string, at time.Duration) []Fault {
	return func(o []int, prof string, at time.Duration) []Fault {
		return []Fault{
			{At: at, Kind: StuckDisk, Who: Target(o[1]), With: Target(o[1]), N: leases * int(profile(prof).LeaseMS), For: time.Hour},
			{At: at + time.Second, Kind: Kill, Who: Target(o[0]), With: Target(o[0]), For: time.Hour},
		}
	}
}

// votesMost is how often somebody asks somebody else for a vote in such a run: in six
// elections among five.
const votesMost = 24

// While a fault lasts, a majority that can talk has a leader within the
// profile's bound, and keeps it. No terms are spent on leaders that never claim.
func TestAMajorityIsLedWhileTheFaultLasts(t *testing.T) {
	for _, prof := range []string{"wan", "lan", "fast", "realtime"} {
		bound := profile(prof).FailoverBound(profile(prof).Assume())
		for _, l := range lastings {
			t.Run(prof+"/"+l.name, func(t *testing.T) {
				t.Parallel()
				runs := uint64(8)
				if testing.Short() {
					runs = 2
				}
				var worst time.Duration
				for seed := uint64(1); seed <= runs; seed++ {
					at := 20*time.Second + time.Duration(seed)*13*time.Millisecond
					r := Run(Options{Seed: seed, Nodes: 5, Length: 40 * time.Second, Plan: l.faults(joinOrder(t, seed, 5, prof), prof, at), World: plainWorld(prof)})
					if r.Failure != nil {
						t.Errorf("seed %d: %v", seed, r.Failure)
					}
					worst = max(worst, unled(r, at))
					if votes := r.Stats.Named["raft: votes asked"]; votes > votesMost {
						t.Errorf("seed %d: votes are asked for %d times: terms are burned", seed, votes)
					}
				}
				t.Logf("nobody claimed for %v at most; the bound is %v", worst, bound)
				if worst > bound {
					t.Errorf("nobody claimed for %v, more than the profile's %v", worst, bound)
				}
			})
		}
	}
}
