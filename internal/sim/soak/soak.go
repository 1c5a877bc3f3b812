package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/arc-ring/arc/internal/sim"
)

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
		if o.shrink || o.save != "" {
			fmt.Println("so there is nothing to cut down or to write: both are for a failing seed")
		}
		return 0
	}
	fmt.Printf("FAIL %v\nreplay: %s\n", r.Failure, r.Replay())
	if o.shrink || o.save != "" {
		r = o.cutDown(r)
	}
	if o.save != "" {
		g := sim.Regress(r)
		g.About = r.Failure.Text
		if err := g.Save(o.save); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", command, err)
			return 1
		}
		fmt.Printf("written to %s: put a name and a sentence to it\n", o.save)
	}
	return 1
}

// regression runs a written down run, with more than one chance if asked.
func (o *options) regression() int {
	g, err := sim.LoadRegression(o.file)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", command, err)
		return 2
	}
	for extra := range o.salts {
		opt := g.Options(extra)
		if opt.Skip = o.skipped(); o.trace {
			opt.Trace, opt.Messages = os.Stdout, o.messages
		}
		if r := g.Run(opt); r.Failure != nil {
			fmt.Printf("seed %d: FAIL %v\n  with salt %d more\n", opt.Seed, r.Failure, extra)
			return 1
		}
	}
	fmt.Printf("no check failed with %d chances\n", o.salts)
	return 0
}

func contains(s []int, x int) bool {
	for _, y := range s {
		if x == y {
			return true
		}
	}
	return false
}

func (o *options) cutDown(r *sim.Result) *sim.Result {
	small := sim.Shrink(r, 400)
	fmt.Printf("cut down to %d of %d faults: %v\n", len(small.Options.Keep), len(small.Plan), small.Failure)
	for _, i := range small.Options.Keep {
		fmt.Printf("fault %3d: %v\n", i, small.Plan[i])
	}
	fmt.Printf("replay: %s\n", small.Replay())
	return small
}

// saveHashes writes one line for each seed, ascending. Two versions of the core
// that behave in the same way write the same file.
func saveHashes(file string, hashes map[uint64]uint64) error {
	var b strings.Builder
	for _, seed := range slices.Sorted(maps.Keys(hashes)) {
		fmt.Fprintf(&b, "%d %016x\n", seed, hashes[seed])
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write hashes: %w", err)
	}
	return nil
}

// sizes says how many nodes the rings have.
func (o *options) sizes() string {
	if o.nodes == 0 {
		return "2 to 9 nodes"
	}
	return fmt.Sprintf("%d nodes", o.nodes)
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
		hashes   = map[uint64]uint64{}
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
				r := sim.Run(sim.Options{Seed: seed, Nodes: o.nodes, Length: o.length(), Salt: o.salt, Skip: o.skipped(), Contents: o.hashes != ""})
				mu.Lock()
				hashes[seed] = r.Hash
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
	if o.hashes != "" {
		if err := saveHashes(o.hashes, hashes); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", command, err)
			return 1
		}
	}
	took := time.Since(began)
	fmt.Printf("%d seeds of %s and %g s each in %v: %.1f seeds per second; %d failures\n", done, o.sizes(), o.seconds, took.Round(time.Millisecond), float64(done)/took.Seconds(), len(failures))
	if len(failures) == 0 {
		return 0
	}
	if o.shrink {
		o.cutDown(failures[0])
	}
	return 1
}
