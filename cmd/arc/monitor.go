package main

import (
	"fmt"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/logging"
	"github.com/arc-ring/arc/internal/realtime"
	"github.com/arc-ring/arc/monitor"
	"github.com/arc-ring/arc/queue"
)

// queueFD is where the coordinator leaves the queue.
const queueFD = 3

type monitorOptions struct {
	set            *config.Set
	socket         string
	coordinatorPID int
	incarnation    uint64
	logLevel       string
	logJSON        bool
	realtime       bool
}

func newMonitorCmd(f *factory) *cobra.Command {
	var o *monitorOptions
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "What arc coordinator starts; not for the shell",
		Long: `Probes the next member's coordinator, reports to its own, and certifies the death
of its own when that process ends. arc coordinator starts it and leaves it a
queue as descriptor 3; without one it refuses to run.

SIGUSR1 makes it drop its connections and dial afresh.`,
		Example: `  # a fresh dial, as arc relink does
  kill -USR1 $(cat /run/arc/monitor.pid)`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Before all else: until then SIGUSR1 would end the process.
			ctx, doorbell, stop := monitor.Signals(cmd.Context())
			defer stop()
			keepName()
			links, err := queue.Inherited(queueFD)
			if err != nil {
				return usagef(cmd, "%w; run arc coordinator, which starts its own monitor", err)
			}
			if err := o.set.Resolve(f.env, ""); err != nil {
				return &usageError{err, cmd.CommandPath()}
			}
			log, flush, err := logging.NewAsync(logging.Options{Name: logging.Monitor, Level: o.logLevel, JSON: o.logJSON, Output: f.err})
			if err != nil {
				return usagef(cmd, "--log-level: %w", err)
			}
			defer flush()
			// It waits, and now and then does a little: a second processor
			// would only be woken to look for work.
			runtime.GOMAXPROCS(1)
			if o.realtime {
				// A monitor that may be delayed is better than none.
				if err := realtime.Keep(); err != nil {
					log.Error("realtime is not complete, the monitor goes on without", "error", err)
				}
			}
			return monitor.Run(ctx, monitor.Options{
				Queue: links, LocalSocket: o.socket, CoordinatorPID: o.coordinatorPID, Incarnation: o.incarnation,
				Logger: log, Doorbell: doorbell,
			})
		},
	}
	o = newMonitorOptions(cmd.Flags())
	return cmd
}

func newMonitorOptions(flags *pflag.FlagSet) *monitorOptions {
	o := &monitorOptions{set: config.NewSet(flags)}
	config.Var(o.set, &o.socket, config.Spec[string]{Name: "socket", Hint: "PATH", Parse: config.NonEmpty, Usage: "unix socket of the own coordinator"})
	config.Var(o.set, &o.coordinatorPID, config.Spec[int]{Name: "coordinator-pid", Hint: "PID", Parse: config.Int(1, 1<<30), Usage: "process of the own coordinator"})
	config.Var(o.set, &o.incarnation, config.Spec[uint64]{Name: "incarnation", Hint: "NUMBER", Parse: incarnation, Usage: "incarnation of the own coordinator"})
	config.Var(o.set, &o.logLevel, config.Spec[string]{Name: "log-level", Hint: "LEVEL", Default: logging.DefaultLevel, Parse: logLevel, Usage: "what to log"})
	config.Var(o.set, &o.logJSON, config.Spec[bool]{Name: "log-json", Default: "false", Shape: config.Switch, Parse: config.Bool, Usage: "write logs as JSON"})
	config.Var(o.set, &o.realtime, config.Spec[bool]{Name: "realtime", Default: "false", Shape: config.Switch, Parse: config.Bool, Usage: "lock the memory; the policy is inherited"})
	return o
}

func incarnation(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no incarnation", s)
	}
	return n, nil
}
