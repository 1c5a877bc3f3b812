package main

import (
	"fmt"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/internal/config"
	"github.com/arc-ring/arc/internal/logging"
	"github.com/arc-ring/arc/internal/realtime"
	"github.com/arc-ring/arc/internal/trust"
	"github.com/arc-ring/arc/monitor"
	"github.com/arc-ring/arc/queue"
)

// queueFD is where the coordinator leaves the queue.
const queueFD = 3

func newMonitorCmd(f *factory) *cobra.Command {
	var o monitor.Options
	var set *config.Set
	var keepRealtime bool
	var keys trust.Files
	self := trust.Identity{Role: trust.Member}
	logs := logging.Options{Name: logging.Monitor, Output: f.err}
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "The monitor, which arc coordinator starts; not for the shell",
		Long: `Probes the next member's coordinator, and reports to its own coordinator. When that
process ends, the monitor certifies its death. arc coordinator starts the monitor
and gives it a queue as descriptor 3. Without a queue it refuses to run.

SIGUSR1 makes it drop its connections and dial again.`,
		Example: `  # dial again, as arc relink does
  kill -USR1 $(cat /run/arc/monitor.pid)`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Before all else: until then SIGUSR1 would end the process.
			ctx, doorbell, stop := monitor.Signals(cmd.Context())
			defer stop()
			keepName()
			links, err := queue.Inherited(queueFD)
			if err != nil {
				return usagef("%w; run arc coordinator, which starts its own monitor", err)
			}
			if err := set.Resolve(f.env, ""); err != nil {
				return usage(err)
			}
			log, flush := logging.NewAsync(logs)
			defer flush()
			if keys != (trust.Files{}) {
				if o.Trust, err = trust.Open(keys, self); err != nil {
					return err
				}
			}
			// It waits, and now and then does a little: a second processor
			// would only be woken to look for work.
			runtime.GOMAXPROCS(1)
			if keepRealtime {
				// A monitor that may be delayed is better than none.
				if err := realtime.Keep(); err != nil {
					log.Error("realtime is not complete, the monitor goes on without", "error", err)
				}
			}
			o.Queue, o.Logger, o.Doorbell = links, log, doorbell
			return monitor.Run(ctx, o)
		},
	}
	set = config.NewSet(cmd.Flags())
	config.Var(set, &o.LocalSocket, "socket", "PATH", "", "unix socket of its coordinator", config.NonEmpty)
	config.Var(set, &o.CoordinatorPID, "coordinator-pid", "PID", "", "process of its coordinator", config.Int(1, 1<<30))
	config.Var(set, &o.Incarnation, "incarnation", "NUMBER", "", "incarnation of its coordinator", incarnation)
	config.Var(set, &self.Name, "name", "NAME", "", "name of its coordinator", config.Text)
	config.Var(set, &self.Cluster, "cluster", "NAME", "", "the ring's name", config.Text)
	addKeys(set, &keys, "") // a coordinator without a secret has a monitor without one
	config.Var(set, &logs.Level, "log-level", "LEVEL", logging.DefaultLevel, "what to log", logging.ParseLevel)
	config.Var(set, &logs.JSON, "log-json", "", "false", "write logs as JSON", config.Bool)
	config.Var(set, &keepRealtime, "realtime", "", "false", "lock the memory; the policy is inherited", config.Bool)
	return cmd
}

func incarnation(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no incarnation", s)
	}
	return n, nil
}
