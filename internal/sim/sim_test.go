package sim

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// openChecks are checks that the core is known to fail: none may stay here.
var openChecks []string

// seedsNow is how many seeds the ordinary test runs.
func seedsNow() int {
	switch {
	case raceDetector:
		return 12
	case testing.Short():
		return 30
	}
	return 360
}

// report says how a failed run can be had again.
func report(t *testing.T, r *Result) {
	t.Helper()
	t.Errorf("seed %d: %v\nreplay: %s\ncut down: %s --shrink", r.Options.Seed, r.Failure, r.Replay(), strings.TrimSuffix(r.Replay(), " --trace"))
}

// each runs f for every number below n on all processors.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

func TestSeeds(t *testing.T) {
	var mu sync.Mutex
	var total Stats
	sizes := map[int]int{}
	each(seedsNow(), func(i int) {
		r := Run(Options{Seed: uint64(i + 1), Skip: openChecks})
		mu.Lock()
		defer mu.Unlock()
		total.Add(&r.Stats)
		sizes[r.Options.Nodes]++
		if r.Failure != nil {
			report(t, r)
		}
	})
	if testing.Verbose() {
		t.Log("\n" + total.String())
	}
	if seedsNow() < 100 {
		return
	}
	// What never happens is not tested.
	for nodes := smallestRing; nodes <= largestRing; nodes++ {
		if sizes[nodes] == 0 {
			t.Errorf("no seed has a ring of %d", nodes)
		}
	}
	for _, kind := range FaultKinds {
		if total.Named["fault: "+string(kind)] == 0 {
			t.Errorf("no seed has the fault %s", kind)
		}
	}
	for _, what := range covered {
		if total.Named[what] == 0 {
			t.Errorf("in no seed happens: %s", what)
		}
	}
}

// covered is what some seed of the ordinary test has to have.
var covered = []string{
	"certificates: delivered", "claims", "core: caretaker for %s", "core: goes on alone: voter %d is certified dead (%s)",
	"core: hands over to %s: %s", "core: released from the promise to %d by its death certificate",
	"core: released from the promise to %d by itself", "core: confirms the suspicion of %d by its own probe",
	"monitor: testimonies", "core: released from the promise to %d: its watcher %d testifies", "faults: set off by grant", "faults: set off by testimony",
	"disk: full, process stops", "disk: slow syncs", "disk: unsynced records lost", "disk: wiped",
	"monitor: killed its hung coordinator", "monitor: pauses", "monitor: restarted", "monitor: suspected refused", "monitor: suspected reset", "monitor: suspected silent",
	"wish: handover: done", "wish: settings: done",
	"op-evict: done", "op-handover: done", "op-leave: done", "op-leave: all are told to end", "op-leave: the ring rests", "op-settings: done", "process: gone through a quiet time",
	"process: killed in the midst of a step", "process: turns whose effects are held back", "founding: came to nothing", "process: pauses in the midst of a step", "raft: snapshots sent", "raft: transfers",
	"ring: evicted by a declaration", "ring: evicted by an own probe", "ring: evicted by its silence", "ring: evicted, certified", "ring: evicted, operator", "ring: evicted, refused", "ring: evicted, replaced",
	"ring: evicted, silent", "ring: left", "ring: returned", "ring: settings changed",
	"graph: star", "graph: chain", "graph: bridge", "graph: one sees only one", "graph: in part", "graph: in part, by direction",
	"clone: started", "restore: an older disk", "process: refused at its start", "process: told of other addresses", "inquiries",
	"outages: compared with the history",
}

func TestOtherSizes(t *testing.T) {
	for _, size := range []struct {
		nodes, seeds int
		length       time.Duration
	}{{1, 6, time.Minute}, {2, 30, time.Minute}, {3, 30, time.Minute}, {7, 15, 40 * time.Second}, {20, 2, 20 * time.Second}} {
		seeds := size.seeds
		if raceDetector || testing.Short() {
			seeds = (seeds + 5) / 6
		}
		each(seeds, func(i int) {
			r := Run(Options{Seed: uint64(1000*size.nodes + i), Nodes: size.nodes, Length: size.length, Skip: openChecks})
			if r.Failure != nil {
				report(t, r)
			}
		})
	}
}

// A run is worth nothing if it cannot be had again; and messages that travel
// through their encoding must make no difference, or members share memory.
func TestTheSameSeedIsTheSameRun(t *testing.T) {
	n := 12
	if raceDetector || testing.Short() {
		n = 3
	}
	each(n, func(i int) {
		o := Options{Seed: uint64(i + 1), Length: 30 * time.Second, Skip: openChecks}
		a, b := Run(o), Run(o)
		o.Copies = true
		c := Run(o)
		if a.Hash != b.Hash || a.Events != b.Events {
			t.Errorf("seed %d: %d events, hash %x; again: %d events, hash %x", o.Seed, a.Events, a.Hash, b.Events, b.Hash)
		}
		if a.Hash != c.Hash {
			t.Errorf("seed %d: another run once messages are copied on the way", o.Seed)
		}
	})
}

// Without faults nothing happens but the first leadership and the joins.
func TestPeace(t *testing.T) {
	n := 16
	if raceDetector || testing.Short() {
		n = 4
	}
	each(n, func(i int) {
		r := Run(Options{Seed: uint64(i + 1), Plan: []Fault{}, World: func(w *World) {
			w.Net.Loss, w.Net.Dup, w.Net.TailOdds = 0, 0, 0
			w.Leads = nil
		}})
		if r.Failure != nil {
			report(t, r)
		}
		for _, never := range []string{"ring: evicted, silent", "ring: evicted, certified", "ring: evicted, refused", "ring: evicted, reset", "core: caretaker for %s"} {
			// Who takes over from a leader by request may win before it knows
			// that it is appointed.
			if strings.HasPrefix(never, "core: caretaker") && r.Stats.Named["wish: handover: done"] > 0 {
				continue
			}
			if r.Stats.Named[never] != 0 {
				t.Errorf("seed %d: %s: %d, without any fault", i+1, never, r.Stats.Named[never])
			}
		}
		if got, want := r.Stats.Named["ring: leaders declared"], 1+r.Stats.Named["wish: handover: done"]; got != want {
			t.Errorf("seed %d: %d leaders were declared, want the first and those of handovers, %d", i+1, got, want)
		}
	})
}

func TestShrink(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector: hundreds of runs in one goroutine have nothing to race with")
	}
	// A check that calls the first suspicion a failure is broken by one fault.
	for seed := uint64(1); seed < 40; seed++ {
		o := Options{Seed: seed, Length: 30 * time.Second, Make: func(cfg electionConfig, rec electionRecovered, now electionInstant) (Core, error) {
			c, err := realCore(cfg, rec, now)
			return &claimsTooLong{Core: c}, err
		}}
		r := Run(o)
		if r.Failure == nil || len(r.Plan) < 8 {
			continue
		}
		small := Shrink(r, 250)
		if small.Failure == nil || small.Failure.Check != r.Failure.Check {
			t.Fatalf("seed %d: the cut down run does not fail as the whole one: %v, %v", seed, small.Failure, r.Failure)
		}
		if len(small.Options.Keep) > len(r.Plan)/2 {
			t.Errorf("seed %d: %d of %d faults are left: %v", seed, len(small.Options.Keep), len(r.Plan), small.Options.Keep)
		}
		if again := Run(small.Options); again.Failure == nil || again.Hash != small.Hash {
			t.Errorf("seed %d: the cut down run is not the same again", seed)
		}
		return
	}
	t.Error("no seed breaks a leader that claims for ten leases")
}

// claimsTooLong is a core whose claim lasts longer than its lease.
type claimsTooLong struct{ Core }

func (c *claimsTooLong) ClaimUntil() (uint64, electionInstant) {
	term, end := c.Core.ClaimUntil()
	if term != 0 && end < electionNever {
		end = end.Add(10 * c.State().Settings.Lease())
	}
	return term, end
}
