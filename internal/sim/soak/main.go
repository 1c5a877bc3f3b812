package main

import (
	"fmt"
	"os"

	"github.com/arc-ring/arc/internal/sim"
)

func main() { os.Exit(run()) }

func run() int {
	o, keep, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", command, err)
		return 2
	}
	stop, err := o.profile()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", command, err)
		return 1
	}
	defer stop()
	if o.file != "" {
		return o.regression()
	}
	if o.seed != 0 {
		return o.one(sim.Options{Seed: o.seed, Nodes: o.nodes, Length: o.length(), Salt: o.salt, Keep: keep, Skip: o.skipped()})
	}
	return o.soak()
}
