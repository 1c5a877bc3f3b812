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

	"github.com/arc-ring/arc/internal/bench/alarms"
	"github.com/arc-ring/arc/internal/bench/console"
	"github.com/arc-ring/arc/internal/bench/report"
)

// options are the flags that both kinds have.
type options struct {
	alarms.Options
	out string

	stdout, stderr io.Writer
}

func newCommand(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alarms",
		Short: "Measures false alarms of rings on this machine",
		Long: `Measures what rings of real processes on this machine's loopback take for a
fault although there is none. Run it on a machine that does nothing else.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.CompletionOptions.DisableDefaultCmd = true
	burn := &cobra.Command{
		Use: "burn", Short: "Keep a processor busy until the input ends", Hidden: true, Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { alarms.Burn(stdin) },
	}
	cmd.AddCommand(newCurveCommand(stdout, stderr), newProfilesCommand(stdout, stderr), burn)
	return cmd
}

func newCurveCommand(stdout, stderr io.Writer) *cobra.Command {
	o := &options{stdout: stdout, stderr: stderr}
	var c alarms.CurveOptions
	var quick, plain bool
	var loads []string
	cmd := &cobra.Command{
		Use:   "curve",
		Short: "Detection time against false alarms per hour, on the leader's link",
		Long: `Measures, for each interval of the leader's link, under each load, without and
with --realtime, how many false alarms an hour each number of misses would give.`,
		Example: `  # a look, under 2 minutes
  scripts/alarms curve --quick

  # 20 cases of half a minute each, 12 minutes
  scripts/alarms curve`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quick && !cmd.Flags().Changed("for") {
				o.For = 2 * time.Second
			}
			for _, l := range loads {
				c.Loads = append(c.Loads, alarms.Load(l))
			}
			c.Realtime = !plain
			if err := checkCurve(o, c); err != nil {
				return err
			}
			return o.measure(cmd.Context(), func(common alarms.Options) (report.Results, error) {
				c.Options = common
				r, err := alarms.Curve(cmd.Context(), c)
				if r == nil {
					return nil, err
				}
				return r, err
			})
		},
	}
	o.flags(cmd, 30*time.Second)
	f := cmd.Flags()
	f.BoolVar(&quick, "quick", false, "2 seconds a case, under 2 minutes")
	f.IntSliceVar(&c.Intervals, "intervals", []int{1, 2, 5, 10, 30}, "intervals of the leader's link, in milliseconds")
	f.StringSliceVar(&loads, "loads", []string{string(alarms.Rest), string(alarms.Busy)}, "rest, busy: as many busy programs as processors")
	f.BoolVar(&plain, "plain", false, "do not measure --realtime")
	return cmd
}

func checkCurve(o *options, c alarms.CurveOptions) error {
	errs := []error{o.check()}
	for _, ms := range c.Intervals {
		if ms < 1 || ms > 1000 {
			errs = append(errs, fmt.Errorf("--intervals %d: 1 to 1000 ms are possible", ms))
		}
	}
	for _, l := range c.Loads {
		if l != alarms.Rest && l != alarms.Busy {
			errs = append(errs, fmt.Errorf("--loads %s: there are rest and busy", l))
		}
	}
	return errors.Join(errs...)
}

// profiles that ARC has.
var profiles = []string{"lan", "fast", "realtime", "wan"}

func newProfilesCommand(stdout, stderr io.Writer) *cobra.Command {
	o := &options{stdout: stdout, stderr: stderr}
	var p alarms.ProfilesOptions
	cmd := &cobra.Command{
		Use:   "profiles",
		Short: "Leave rings of each profile alone, and count what they do",
		Long: `Lets a ring of each profile run at rest, and of some with all processors busy,
and counts evictions, changes of the leader, suspicions and lost claims, of which
there should be none. Of each it says if the machine itself stood still
beside it. Ends with an error if there were any, and keeps the logs of these
rings.`,
		Example: `  # 6 rings one after the other, an hour
  scripts/alarms profiles

  # all rings of a load at the same time, which is harder; 21 minutes
  scripts/alarms profiles --together`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			errs := []error{o.check()}
			for _, name := range slices.Concat(p.AtRest, p.Busy) {
				if !slices.Contains(profiles, name) {
					errs = append(errs, fmt.Errorf("profile %q is not one of %s", name, strings.Join(profiles, ", ")))
				}
			}
			if err := errors.Join(errs...); err != nil {
				return err
			}
			return o.measure(cmd.Context(), func(common alarms.Options) (report.Results, error) {
				p.Options = common
				q, err := alarms.Profiles(cmd.Context(), p)
				if q == nil {
					return nil, err
				}
				return q, errors.Join(err, q.Err())
			})
		},
	}
	o.flags(cmd, 10*time.Minute)
	f := cmd.Flags()
	f.StringSliceVar(&p.AtRest, "at-rest", profiles, "profiles watched at rest; realtime is run with --realtime")
	f.StringSliceVar(&p.Busy, "busy", []string{"lan", "fast"}, "profiles watched with all processors busy")
	f.BoolVar(&p.Together, "together", false, "run the rings of one load all at the same time")
	return cmd
}

func (o *options) flags(cmd *cobra.Command, each time.Duration) {
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&o.Nodes, "nodes", 5, "nodes of each ring")
	f.DurationVar(&o.For, "for", each, "how long each case is measured")
	f.StringVar(&o.out, "out", "", "directory for the results; default a new one in the system's directory for temporary files")
	f.StringVar(&o.Arc, "arc", "", "arc binary to measure; default build it")
}

func (o *options) check() error {
	var errs []error
	if o.Nodes < 2 || o.Nodes > 100 {
		errs = append(errs, fmt.Errorf("--nodes %d: 2 to 100 are possible", o.Nodes))
	}
	if o.For <= 0 {
		errs = append(errs, fmt.Errorf("--for %v: must be above 0", o.For))
	}
	return errors.Join(errs...)
}

// measure runs one of the two and keeps what it returns.
func (o *options) measure(ctx context.Context, run func(alarms.Options) (report.Results, error)) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if o.out, err = console.Directory(o.out, "arc-alarms"); err != nil {
		return err
	}
	o.Logs = filepath.Join(o.out, "logs")
	o.Burner = []string{self, "burn"}
	o.Say = console.Progress(o.stderr)
	r, err := run(o.Options)
	if r == nil {
		return err
	}
	err = errors.Join(console.Interrupted(ctx, err), report.Write(o.out, o.stdout, r))
	fmt.Fprintf(o.stderr, "results, tables and the picture are in %s\n", o.out)
	return err
}
