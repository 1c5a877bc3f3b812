package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

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
	save, file         string
	salts              uint64
	hashes             string
}

// command is what people call.
const command = "scripts/sim"

// parse reads the command line; keep is --keep as numbers.
func parse(args []string) (*options, []int, error) {
	o := &options{}
	set := flag.NewFlagSet(command, flag.ExitOnError) // 2 and what is wrong, or the help
	set.Usage = func() {
		fmt.Fprintf(set.Output(), "Usage:\n\n  %s [--seeds N]  runs many seeds\n  %[1]s --seed N     runs one and says what happened\n  %[1]s --run FILE   runs a regression\n\nFlags:\n", command)
		set.PrintDefaults()
	}
	set.Uint64Var(&o.seeds, "seeds", 1000, "how many seeds to run")
	set.Uint64Var(&o.start, "start", 1, "the first of them")
	set.Uint64Var(&o.seed, "seed", 0, "run only this seed, and say what happened")
	set.IntVar(&o.nodes, "nodes", 0, "machines that form the ring, 1 to 24 (0: 2 to 9, as the seed draws)")
	set.Float64Var(&o.seconds, "seconds", 60, "length of a run in virtual seconds")
	set.Float64Var(&o.minutes, "minutes", 0, "stop after so many real minutes (0: when all seeds are done)")
	set.Uint64Var(&o.salt, "salt", 0, "other chance with the same faults")
	set.StringVar(&o.keep, "keep", "", "only these faults of the plan, numbers with commas, or none")
	set.BoolVar(&o.trace, "trace", false, "print the story of --seed")
	set.BoolVar(&o.messages, "messages", false, "with every message in it")
	set.BoolVar(&o.shrink, "shrink", false, "cut down the faults of a failing seed")
	set.IntVar(&o.jobs, "jobs", 1, "runs at the same time, one goroutine each")
	set.IntVar(&o.failures, "failures", 1, "stop after so many failing seeds")
	set.BoolVar(&o.stats, "stats", true, "print what the seeds covered")
	set.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile to this file")
	set.StringVar(&o.skip, "skip", "", "checks that are not made, with commas: G1 to G6, log, state, ids")
	set.StringVar(&o.save, "save", "", "write the failing --seed, cut down, to this file, as a regression")
	set.StringVar(&o.file, "run", "", "run the regression in this file instead of seeds")
	set.StringVar(&o.hashes, "hashes", "", "write what each seed's run hashes to, messages included, to this file")
	set.Uint64Var(&o.salts, "salts", 1, "with --run: so many times, each with other chance")
	_ = set.Parse(args)
	if set.NArg() > 0 || o.nodes < 0 || o.nodes > 24 || o.seconds <= 0 || o.jobs < 1 {
		return nil, nil, fmt.Errorf("--nodes 0 to 24, --seconds above 0, --jobs at least 1, and no other arguments than flags, not %s", strings.Join(set.Args(), " "))
	}
	if o.save != "" && (o.seed == 0 || o.file != "") {
		return nil, nil, fmt.Errorf("--save %s writes one run down: give --seed too, and no --run", o.save)
	}
	keep, err := parseKeep(o.keep)
	if err != nil {
		return nil, nil, fmt.Errorf("--keep %q: %w", o.keep, err)
	}
	return o, keep, nil
}

// profile begins the CPU profile, if one is wanted; stop ends it.
func (o *options) profile() (stop func(), err error) {
	if o.cpuProfile == "" {
		return func() {}, nil
	}
	f, err := os.Create(o.cpuProfile)
	if err != nil {
		return nil, fmt.Errorf("create CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("start CPU profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
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
