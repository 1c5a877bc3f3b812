// Command soak runs the simulator over many seeds, or one seed with its story.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/arc-ring/arc/internal/sim"
)

func main() { os.Exit(run()) }

type options struct {
	seeds, start, seed uint64
	nodes              int
	seconds            float64
	salt               uint64
	keep               string
	trace, messages    bool
	shrink             bool
	jobs, failures     int
	cpuProfile         string
	stats              bool
	minutes            float64
	skip               string
}

func run() int {
	var o options
	flag.Uint64Var(&o.seeds, "seeds", 1000, "how many seeds to run")
	flag.Uint64Var(&o.start, "start", 1, "the first of them")
	flag.Uint64Var(&o.seed, "seed", 0, "run only this seed, and say what happened")
	flag.IntVar(&o.nodes, "nodes", 5, "machines that form the ring, 1 to 24")
	flag.Float64Var(&o.seconds, "seconds", 60, "length of a run in virtual seconds")
	flag.Float64Var(&o.minutes, "minutes", 0, "stop after so many real minutes (0: when all seeds are done)")
	flag.Uint64Var(&o.salt, "salt", 0, "other chance with the same faults")
	flag.StringVar(&o.keep, "keep", "", "only these faults of the plan, numbers with commas, or none")
	flag.BoolVar(&o.trace, "trace", false, "print the story of --seed")
	flag.BoolVar(&o.messages, "messages", false, "with every message in it")
	flag.BoolVar(&o.shrink, "shrink", false, "cut down the faults of a failing seed")
	flag.IntVar(&o.jobs, "jobs", 1, "runs at the same time, one goroutine each")
	flag.IntVar(&o.failures, "failures", 1, "stop after so many failing seeds")
	flag.BoolVar(&o.stats, "stats", true, "print what the seeds covered")
	flag.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile to this file")
	flag.StringVar(&o.skip, "skip", "", "checks that are not made, with commas: G1 to G6, log, state, ids")
	flag.Parse()
	if flag.NArg() > 0 || o.nodes < 1 || o.nodes > 24 || o.seconds <= 0 || o.jobs < 1 {
		fmt.Fprintf(os.Stderr, "soak: --nodes 1 to 24, --seconds above 0, --jobs at least 1, and no other arguments than flags, not %q\n", flag.Args())
		return 2
	}
	if o.cpuProfile != "" {
		f, err := os.Create(o.cpuProfile)
		if err != nil {
			fmt.Fprintf(os.Stderr, "soak: create CPU profile: %v\n", err)
			return 1
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			fmt.Fprintf(os.Stderr, "soak: start CPU profile: %v\n", err)
			return 1
		}
		defer pprof.StopCPUProfile()
	}
	keep, err := parseKeep(o.keep)
	if err != nil {
		fmt.Fprintf(os.Stderr, "soak: --keep %q: %v\n", o.keep, err)
		return 2
	}
	if o.seed != 0 {
		return o.one(sim.Options{Seed: o.seed, Nodes: o.nodes, Length: o.length(), Salt: o.salt, Keep: keep, Skip: o.skipped()})
	}
	return o.soak()
}

func (o *options) length() time.Duration { return time.Duration(o.seconds * float64(time.Second)) }

func (o *options) skipped() []string {
	if o.skip == "" {
		return nil
	}
	return strings.Split(o.skip, ",")
}

func parseKeep(s string) ([]int, error) {
	switch s {
	case "":
		return nil, nil
	case "none":
		return []int{}, nil
	}
	var keep []int
	for _, f := range strings.Split(s, ",") {
		i, err := strconv.Atoi(f)
		if err != nil || i < 0 {
			return nil, errors.New("want numbers of faults with commas between, or none")
		}
		keep = append(keep, i)
	}
	return keep, nil
}

// one runs one seed and tells all.
func (o *options) one(opt sim.Options) int {
	if o.trace {
		opt.Trace, opt.Messages = os.Stdout, o.messages
	}
	r := sim.Run(opt)
	fmt.Printf("world: %s\n", r.World.String())
	for i, f := range r.Plan {
		if opt.Keep == nil || contains(opt.Keep, i) {
			fmt.Printf("fault %3d: %v\n", i, f)
		}
	}
	if o.stats {
		fmt.Print(r.Stats.String())
	}
	fmt.Printf("seed %d: %d events, hash %016x\n", opt.Seed, r.Events, r.Hash)
	if r.Failure == nil {
		fmt.Println("no check failed")
		return 0
	}
	fmt.Printf("FAIL %v\nreplay: %s\n", r.Failure, r.Replay())
	if o.shrink {
		o.cutDown(r)
	}
	return 1
}

func contains(s []int, x int) bool {
	for _, y := range s {
		if x == y {
			return true
		}
	}
	return false
}

func (o *options) cutDown(r *sim.Result) {
	small := sim.Shrink(r, 400)
	fmt.Printf("cut down to %d of %d faults: %v\n", len(small.Options.Keep), len(small.Plan), small.Failure)
	for _, i := range small.Options.Keep {
		fmt.Printf("fault %3d: %v\n", i, small.Plan[i])
	}
	fmt.Printf("replay: %s\n", small.Replay())
}

// soak runs many seeds.
func (o *options) soak() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if o.minutes > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, time.Duration(o.minutes*float64(time.Minute)))
		defer cancel()
	}
	var (
		mu       sync.Mutex
		next     = o.start
		done     uint64
		failures []*sim.Result
		total    sim.Stats
		began    = time.Now()
		wg       sync.WaitGroup
	)
	said := began
	for range o.jobs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				mu.Lock()
				seed := next
				if seed >= o.start+o.seeds || len(failures) >= o.failures || ctx.Err() != nil {
					mu.Unlock()
					return
				}
				next++
				mu.Unlock()
				r := sim.Run(sim.Options{Seed: seed, Nodes: o.nodes, Length: o.length(), Salt: o.salt, Skip: o.skipped()})
				mu.Lock()
				done++
				total.Add(&r.Stats)
				if r.Failure != nil {
					failures = append(failures, r)
					fmt.Printf("seed %d: FAIL %v\n  replay: %s\n", seed, r.Failure, r.Replay())
				}
				if now := time.Now(); now.Sub(said) > 10*time.Second {
					said = now
					fmt.Printf("%d seeds, %.1f per second, %d failures\n", done, float64(done)/now.Sub(began).Seconds(), len(failures))
				}
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	if o.stats {
		fmt.Print(total.String())
	}
	took := time.Since(began)
	fmt.Printf("%d seeds of %d nodes and %g s each in %v: %.1f seeds per second; %d failures\n", done, o.nodes, o.seconds, took.Round(time.Millisecond), float64(done)/took.Seconds(), len(failures))
	if len(failures) == 0 {
		return 0
	}
	if o.shrink {
		o.cutDown(failures[0])
	}
	return 1
}
