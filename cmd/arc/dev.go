package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/devring"
	"github.com/arc-ring/arc/internal/logging"
	"github.com/arc-ring/arc/ring"
)

// reportBytes is how much of each node's log a failure shows.
const reportBytes = 4096

type devOptions struct {
	set              *config.Set
	nodes            int
	dir, cluster     string
	profile          string
	demo             bool
	duration, revive time.Duration
	logLevel         string
}

func newDevCmd(f *factory) *cobra.Command {
	var o *devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "A whole ring on this machine, live; with --demo, a proof of its failovers",
		Long: `Runs a ring of real coordinator and monitor processes on this machine's loopback,
each with its own directories under one root, and shows it live: who monitors
whom, leader, heir, token, the last events. It prints how to look at each node
and how to kill it. Ctrl-C ends everything and removes the root.

With --demo it kills leader after leader with kill -9 until one is left, brings
all back, kills once more, prints for each failover who took over from whom, by
which rule and how fast, and checks that tokens rose, that no term had two
leaders and that each new leader was the heir. It exits 0 only if they held.`,
		Example: `  arc dev --nodes 5
  arc dev --nodes 5 --demo
  arc dev --nodes 3 --profile fast --duration 1m`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.set.Resolve(f.env, ""); err != nil {
				return &usageError{err, cmd.CommandPath()}
			}
			if o.demo && o.nodes < 2 {
				return usagef(cmd, "--demo needs at least 2 nodes, --nodes says %d: somebody has to take over", o.nodes)
			}
			return f.dev(cmd.Context(), o)
		},
	}
	o = newDevOptions(cmd.Flags())
	return cmd
}

func newDevOptions(flags *pflag.FlagSet) *devOptions {
	o := &devOptions{set: config.NewSet(flags)}
	config.Var(o.set, &o.nodes, config.Spec[int]{Name: "nodes", Hint: "N", Default: "5", Parse: config.Int(1, 100), Usage: "how many nodes"})
	config.Var(o.set, &o.dir, config.Spec[string]{Name: "dir", Hint: "DIR", Parse: config.Text, Usage: "root of all directories, empty or new, and kept; by default a temporary one"})
	config.Var(o.set, &o.cluster, config.Spec[string]{Name: "cluster", Hint: "NAME", Parse: config.Text, Usage: "the ring's name; by default a random one"})
	config.Var(o.set, &o.profile, config.Spec[string]{Name: "profile", Hint: "PROFILE", Default: ring.DefaultProfile, Parse: config.OneOf(ring.Profiles...), Usage: "the ring's timing"})
	config.Var(o.set, &o.demo, config.Spec[bool]{Name: "demo", Default: "false", Shape: config.Switch, Parse: config.Bool, Usage: "kill leader after leader, and judge"})
	config.Var(o.set, &o.duration, config.Spec[time.Duration]{Name: "duration", Hint: "DURATION", Default: "0s", Parse: config.Duration(0), Usage: "end by itself after so long; 0 means never"})
	config.Var(o.set, &o.revive, config.Spec[time.Duration]{Name: "revive", Hint: "DURATION", Default: "0s", Parse: config.Duration(0), Usage: "start a node again so long after it died; 0 means never"})
	config.Var(o.set, &o.logLevel, config.Spec[string]{Name: "log-level", Hint: "LEVEL", Default: logging.DefaultLevel, Parse: logLevel, Usage: "level of the nodes' log files"})
	return o
}

// dev runs the ring, and leaves no process behind however it ends.
func (f *factory) dev(ctx context.Context, o *devOptions) (err error) {
	executable, err := f.executable()
	if err != nil {
		return fmt.Errorf("find the program to start as nodes: %w", err)
	}
	dir, remove, err := devDir(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(err == nil)) }()
	r, err := devring.New(devring.Options{Arc: executable, Dir: dir, Nodes: o.nodes, Profile: o.profile, Cluster: o.cluster, LogLevel: o.logLevel})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	for _, n := range r.Nodes() {
		if err := n.Start(); err != nil {
			return err
		}
	}
	if o.demo {
		err = f.demo(ctx, r)
	} else {
		err = f.live(ctx, r, o.revive)
	}
	if err != nil {
		reportCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.timeout)
		defer cancel()
		f.note("%s", r.Report(reportCtx, reportBytes))
		f.note("logs and data are kept in %s", dir)
	}
	return err
}

func (f *factory) demo(ctx context.Context, r *devring.Ring) error {
	w := f.lines()
	verdict, err := r.Demo(ctx, w)
	broken := verdict.Summary(w, r.Declared())
	if err != nil {
		fmt.Fprintln(w, "FAILED  the demonstration did not come to its end")
	}
	return errors.Join(err, broken)
}

// devDir returns the root and what removes it if all went well.
func devDir(wanted string) (dir string, remove func(ok bool) error, err error) {
	if wanted == "" {
		dir, err = os.MkdirTemp("", "arc-dev-")
		if err != nil {
			return "", nil, fmt.Errorf("root directory: %w", err)
		}
		return dir, func(ok bool) error {
			if !ok {
				return nil
			}
			return os.RemoveAll(dir)
		}, nil
	}
	if err := os.MkdirAll(wanted, 0o700); err != nil {
		return "", nil, fmt.Errorf("--dir: %w", err)
	}
	entries, err := os.ReadDir(wanted)
	if err != nil {
		return "", nil, fmt.Errorf("--dir: %w", err)
	}
	if len(entries) > 0 {
		return "", nil, fmt.Errorf("--dir %s is not empty: a ring for trying out is always new, name a new directory", wanted)
	}
	return wanted, func(bool) error { return nil }, nil
}
