package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/internal/bench"
	"github.com/arc-ring/arc/internal/bench/console"
	"github.com/arc-ring/arc/internal/bench/report"
)

type options struct {
	bench.Options
	out   string
	quick bool
	list  bool
}

func newCommand(stdout, stderr io.Writer) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measures failovers of ARC and of others on one machine",
		Long: `Measures how long hosts are without a leader, and what it costs that they have
one, for ARC and for what people would pick instead, one after the other on the
same kind of hosts: namespaces of this machine. Needs root. Installs nothing:
what is missing is unpacked or built in the cache directory.

Failovers that take milliseconds are measured one at a time, and so is what
anything costs at rest. Of a system whose failovers take seconds several labs
stand side by side, and the tables say how many.

Run it on a machine that does nothing else. The ratios within one run are what
counts.`,
		Example: `  # a look, under 3 minutes
  scripts/bench --quick

  # ARC and keepalived at 3 and 5 hosts
  scripts/bench --only arc,keepalived --hosts 3,5 --trials 10

  # everything, and what does not fit into an hour is left out and named
  scripts/bench --within 60m --out results`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.list {
				for _, s := range bench.Systems {
					fmt.Fprintf(stdout, "%-18s %s\n", s.ID, s.Title())
				}
				return nil
			}
			if o.quick {
				o.hurry(cmd)
			}
			if err := o.check(); err != nil {
				return err
			}
			return o.measure(cmd.Context(), stdout, stderr)
		},
	}
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.quick, "quick", false, "under 3 minutes: 3 hosts, few trials; other flags still count")
	f.StringSliceVar(&o.Only, "only", nil, "systems, by name or with the setting (see --list); default all")
	f.BoolVar(&o.list, "list", false, "list the systems and end")
	f.IntSliceVar(&o.Hosts, "hosts", []int{3, 5, 20}, "numbers of hosts")
	f.StringSliceVar(&o.Faults, "faults", []string{"kill", "pull", "stop"}, "what happens to the leader: kill -9, its cable pulled, SIGSTOP; again: pulled 0.3 s after the former one's is back")
	f.IntVar(&o.Trials, "trials", 20, "trials of each fault")
	f.DurationVar(&o.CaseTime, "case-time", 0, "end a case (system, hosts) early after this time for each fault; 0 never")
	f.DurationVar(&o.Within, "within", 0, "how long the whole run shall take; the report says what did not fit; 0 as long as it does")
	f.IntVar(&o.Least, "least", 3, "trials of each fault that a case makes at least, however long they take")
	f.IntVar(&o.Labs, "labs", bench.MostLabs, "labs side by side at most, of systems whose failovers take seconds; 1 measures everything alone")
	f.DurationVar(&o.Idle, "idle", 30*time.Second, "how long the cost at rest is measured; 0 not at all")
	f.IntSliceVar(&o.IdleHosts, "idle-hosts", []int{5, 20}, "numbers of hosts at which the cost at rest is measured")
	f.IntVar(&o.Cuts, "cuts", 5, "how often the leader is cut off with a minority of 5; 0 never")
	f.StringVar(&o.out, "out", "", "directory for the results; default a new one in the system's directory for temporary files")
	f.BoolVar(&o.RealDisk, "real-disk", false, "keep all hosts' files on this machine's disk, which they then share; default: each its own, in memory")
	f.StringVar(&o.Arc, "arc", "", "arc binary to measure; default build it")
	f.StringVar(&o.Cache, "cache", "", "directory for the peers' programs; default arc-bench in the user's cache directory")
	f.BoolVar(&o.Offline, "offline", false, "fetch nothing; systems that are not there are skipped")
	return cmd
}

// hurry makes the run small, but for what was asked for by a flag.
func (o *options) hurry(cmd *cobra.Command) {
	set := func(flag string, change func()) {
		if !cmd.Flags().Changed(flag) {
			change()
		}
	}
	set("hosts", func() { o.Hosts = []int{3} })
	set("trials", func() { o.Trials = 3 })
	set("faults", func() { o.Faults = []string{"kill", "pull"} })
	set("case-time", func() { o.CaseTime = 4 * time.Second })
	set("least", func() { o.Least = 1 })
	set("idle", func() { o.Idle = 2 * time.Second })
	set("idle-hosts", func() { o.IdleHosts = o.Hosts })
	set("cuts", func() { o.Cuts = 1 })
}

// check finds all mistakes in the flags.
func (o *options) check() error {
	var errs []error
	for _, name := range o.Only {
		if len(bench.Choose([]string{name})) == 0 {
			errs = append(errs, fmt.Errorf("--only %s: there is no such system, see --list", name))
		}
	}
	for _, n := range o.Hosts {
		if n < 3 || n > 100 {
			errs = append(errs, fmt.Errorf("--hosts %d: 3 to 100 are possible, since of two hosts no majority is left", n))
		}
	}
	for _, name := range o.Faults {
		if !slices.ContainsFunc(bench.Faults, func(f bench.Fault) bool { return f.Name == name }) {
			var names []string
			for _, f := range bench.Faults {
				names = append(names, f.Name)
			}
			errs = append(errs, fmt.Errorf("--faults %s: there are %s", name, strings.Join(names, ", ")))
		}
	}
	if o.Trials < 0 || o.Least < 0 || o.Cuts < 0 || o.Idle < 0 || o.CaseTime < 0 || o.Within < 0 {
		errs = append(errs, errors.New("--trials, --least, --cuts, --idle, --case-time and --within cannot be negative"))
	}
	if o.Labs < 1 {
		errs = append(errs, fmt.Errorf("--labs %d: 1 or more are possible", o.Labs))
	}
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("hosts are made of network namespaces, which takes root: run it with sudo"))
	}
	return errors.Join(errs...)
}

func (o *options) measure(ctx context.Context, stdout, stderr io.Writer) (err error) {
	o.Say = console.Progress(stderr)
	if o.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("find the cache directory (or use --cache DIR): %w", err)
		}
		o.Cache = filepath.Join(dir, "arc-bench")
	}
	if o.out, err = console.Directory(o.out, "arc-bench"); err != nil {
		return err
	}
	o.Save = func(r *bench.Results) error { return report.Save(o.out, r) }
	results, err := bench.Run(ctx, o.Options)
	if results == nil {
		return err
	}
	err = errors.Join(console.Interrupted(ctx, err), report.Write(o.out, stdout, results))
	fmt.Fprintf(stderr, "results, tables and the picture are in %s\n", o.out)
	return err
}
