package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/devring"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/logging"
	"github.com/arc-ring/arc/ring"
)

// reportBytes is how much of each node's log a failure shows.
const reportBytes = 4096

type devOptions struct {
	devring.Options
	set              *config.Set
	demo             bool
	duration, revive time.Duration
}

func newDevCmd(f *factory) *cobra.Command {
	o := &devOptions{}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "A whole ring on this machine, live; with --demo, a proof of its failovers",
		Long: `Runs a ring of real coordinator and monitor processes on this machine's loopback.
Each node has its own directories under one root. The ring is shown live: who
monitors whom, leader, heir, token, the last events and which nodes say them, how
to look at a node, how to kill it, and how it comes back. The picture fits the
terminal. Ctrl-C ends everything and removes the root, and so does the end of the
terminal, or of the program that reads the output.

--demo kills leader after leader with kill -9 until one node is left, brings all
back, and kills once more. For each failover it prints who took over from whom,
by which rule and how fast. It checks that tokens rose, that no term had two
leaders, and that each new leader was the heir. It exits 0 only if all of that
held.`,
		Example: `  arc dev --nodes 5
  arc dev --nodes 5 --demo
  arc dev --nodes 3 --profile fast --duration 1m`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.set.Resolve(f.env, ""); err != nil {
				return usage(err)
			}
			for _, v := range o.set.Values() {
				if v.Text == "" && v.Layer != config.Default {
					return usagef("%s is empty", v.Origin)
				}
			}
			if err := foreign.CheckNewName(o.set.Origin("cluster"), o.Cluster); err != nil && o.Cluster != "" {
				return usage(err)
			}
			if o.demo && o.Nodes < 2 {
				return usagef("--demo needs at least 2 nodes, --nodes says %d: somebody has to take over", o.Nodes)
			}
			return f.dev(cmd.Context(), o)
		},
	}
	o.set = config.NewSet(cmd.Flags())
	config.Var(o.set, &o.Nodes, "nodes", "N", "5", "how many nodes", config.Int(1, 100))
	config.Var(o.set, &o.Dir, "dir", "DIR", "", "root of all directories, new or empty, which is kept; by default a temporary one", config.Text)
	config.Var(o.set, &o.Cluster, "cluster", "NAME", "", "the ring's name; by default a random one", config.Text)
	config.Var(o.set, &o.Profile, "profile", "PROFILE", ring.DefaultProfile, "the ring's timing", config.OneOf(ring.Profiles...))
	config.Var(o.set, &o.demo, "demo", "", "false", "kill leader after leader, and check what must hold", config.Bool)
	config.Var(o.set, &o.duration, "duration", "DURATION", "0s", "end after this time; 0 means never", config.Duration(0))
	config.Var(o.set, &o.revive, "revive", "DURATION", "0s", "start a node again this long after it died; 0 means never", config.Duration(0))
	config.Var(o.set, &o.LogLevel, "log-level", "LEVEL", logging.DefaultLevel, "level of the nodes' log files", logLevel)
	return cmd
}

// dev runs the ring, and leaves no process behind however it ends.
func (f *factory) dev(ctx context.Context, o *devOptions) (err error) {
	ctx, release := f.whileAttended(ctx)
	defer release()
	if o.Arc, err = f.executable(); err != nil {
		return fmt.Errorf("find the program to start as nodes: %w", err)
	}
	failed := false // the root is kept then
	if o.Dir != "" {
		if err := makeEmpty(o.Dir); err != nil {
			return err
		}
	} else {
		if o.Dir, err = os.MkdirTemp("", "arc-dev-"); err != nil {
			return fmt.Errorf("root directory: %w", err)
		}
		defer func() {
			if !failed {
				err = cmp.Or(err, os.RemoveAll(o.Dir))
			}
		}()
	}
	r, err := devring.Start(o.Options)
	if err != nil {
		return err // no process came about that would have logged more
	}
	defer func() {
		if cerr := r.Close(); cerr != nil {
			failed, err = true, errors.Join(err, cerr)
		}
	}()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	if o.demo {
		err = f.demo(ctx, r)
	} else {
		err = f.live(ctx, r, o.revive)
	}
	stop := stoppedBy(ctx, err)
	switch failed = errors.Is(err, devring.ErrBroken) || err != nil && stop == nil; {
	case failed:
		reportCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.timeout)
		defer cancel()
		f.note("%s", r.Report(reportCtx, reportBytes))
		f.note("logs and data are kept in %s", o.Dir)
	case errors.Is(stop, errUnread):
		return errUnread
	case err != nil && o.demo:
		return fmt.Errorf("demo: %w", stop)
	case err != nil: // of the moment in which it was stopped
		return nil
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

// makeEmpty makes the directory of --dir.
func makeEmpty(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("--dir %s is not empty: a ring for trying out is always new, name a new directory", dir)
	}
	return nil
}

// logLevel is what the nodes are given: a level that they know, as it was written.
func logLevel(s string) (string, error) {
	_, err := logging.ParseLevel(s)
	return s, err
}
