package sim

import (
	"fmt"
	"testing"
	"time"
)

// slowdisk is a fault of disks in a ring of five, on which every sync takes long
// until the end of the run.
type slowdisk struct {
	name string
	// where are the members whose disks are slow, by the order in which they joined.
	where []int
	// replaced: somebody else has to lead if a sync outlasts a lease.
	replaced bool
}

var slowdisks = []slowdisk{
	{"leader", []int{0}, true},
	{"heir", []int{1}, false},
	{"follower", []int{3}, false},
	{"leader and heir", []int{0, 1}, true},
	{"a majority without the leader", []int{2, 3, 4}, false},
	{"a majority with the leader", []int{0, 1, 2}, false},
	{"all", []int{0, 1, 2, 3, 4}, false},
}

// A disk is slow for each sync, or hangs for good, while changes are asked for. A
// leader whose disk outlasts a lease is replaced within the profile's bound, by one
// whose disk does not, if there are enough of those. Nobody else's disk costs the
// leadership. There is a claim all the time, but for the moment of a handover.
func TestALeaderWhoseDiskHangsIsReplaced(t *testing.T) {
	for _, prof := range []string{"wan", "lan", "fast", "realtime"} {
		st := profile(prof)
		bound, lease := st.FailoverBound(st.Assume()), st.Lease()
		runs := uint64(2)
		if testing.Short() {
			runs = 1
		}
		orders := [][]int{nil}
		for seed := uint64(1); seed <= runs; seed++ {
			orders = append(orders, joinOrder(t, seed, 5, prof))
		}
		for _, takes := range []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second, time.Hour} {
			for _, d := range slowdisks {
				t.Run(fmt.Sprintf("%s/%s/%v", prof, d.name, takes), func(t *testing.T) {
					t.Parallel()
					for seed := uint64(1); seed <= runs; seed++ {
						at := 20*time.Second + time.Duration(seed)*13*time.Millisecond
						r := Run(Options{Seed: seed, Nodes: 5, Length: 36 * time.Second, Plan: d.faults(orders[seed], takes, at), World: plainWorld(prof)})
						if r.Failure != nil {
							t.Errorf("seed %d: %v", seed, r.Failure)
							continue
						}
						d.check(t, r, at, takes > 2*lease, takes < lease*3/4, bound)
					}
				})
			}
		}
	}
}

// faults are the slow disks, and two changes that have to be written.
func (d *slowdisk) faults(order []int, takes, at time.Duration) (fs []Fault) {
	for _, i := range d.where {
		fs = append(fs, Fault{At: at, Kind: StuckDisk, Who: Target(order[i]), With: Target(order[i]), N: int(takes.Milliseconds()), For: time.Hour})
	}
	other := Target(order[4])
	return append(fs, Fault{At: at + time.Millisecond, Kind: OpSettings, Who: other, With: other, N: 6},
		Fault{At: at + 7*time.Second, Kind: OpSettings, Who: other, With: other, N: 1})
}

// check looks at who claims from the fault on. Hangs: a sync outlasts a lease by far;
// quick: it does not reach one.
func (d *slowdisk) check(t *testing.T, r *Result, at time.Duration, hangs, quick bool, bound time.Duration) {
	t.Helper()
	var old Claim
	var later []Claim // the first of each later leadership
	for _, c := range r.Claims {
		switch {
		case c.From <= at && c.To > at:
			old = c
		case c.From > at && c.Term != old.Term && (len(later) == 0 || c.Term != later[len(later)-1].Term):
			later = append(later, c)
		}
	}
	if old.Node == "" {
		t.Fatalf("seed %d: nobody claims when the disks become slow: %v", r.Options.Seed, r.Claims)
	}
	if gap := unled(r, at); gap > bound {
		t.Errorf("seed %d: nobody claimed for %v, more than the profile's %v", r.Options.Seed, gap, bound)
	}
	if d.replaced && hangs {
		if len(later) == 0 || later[0].Node == old.Node || later[0].From > at+bound {
			t.Errorf("seed %d: %s led when its disk began to hang after %v, and was not replaced within %v: %v", r.Options.Seed, old.Node, at, bound, later)
		}
		if len(later) > 1 {
			t.Errorf("seed %d: one new leader is enough: %v", r.Options.Seed, later)
		}
	}
	if (!d.replaced || quick) && len(later) > 0 {
		t.Errorf("seed %d: %s led when the disks became slow after %v, and was replaced: %v", r.Options.Seed, old.Node, at, later)
	}
}
