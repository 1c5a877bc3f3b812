package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/coordinator"
	"github.com/arc-ring/arc/internal/logging"
	"github.com/arc-ring/arc/internal/realtime"
)

func newCoordinatorCmd(f *factory) *cobra.Command {
	var o *coordinatorFlags
	cmd := &cobra.Command{
		Use:   "coordinator",
		Short: "Run this machine's coordinator and its monitor",
		Long: `Runs this machine's coordinator in the foreground. Its monitor is a second process.

SIGTERM or an interrupt ends both within 5 s: the coordinator hands over if it
leads, and leaves the ring. A second signal ends it at once. Signals within one
second of the first count as the first, since timeout(1) and terminals signal
twice. SIGHUP reads the log level again, for the monitor too.

--realtime keeps other programs from delaying ARC: both processes run under
SCHED_RR priority 10 with their memory locked. The realtime profile is meant to
be used with it. It needs root, or CAP_SYS_NICE and CAP_IPC_LOCK, or the limits
RLIMIT_RTPRIO 10 and RLIMIT_MEMLOCK unlimited.

A ring is founded by --expect N on all of N nodes, or by --bootstrap on one. Later
starts ignore both, since the data directory holds the ring.

This version has no secrets. Every address that is not loopback needs --insecure,
and so does the default. Use it on networks that you trust.`,
		Example: `  # on each of three machines in one LAN
  arc coordinator --expect 3 --insecure

  # without broadcast
  arc coordinator --insecure --no-autodiscovery --join 10.0.0.5:7400,10.0.0.6:7400

  # alone on this machine, for a try
  arc coordinator --bootstrap --bind 127.0.0.1`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.resolve(f); err != nil {
				return usage(err)
			}
			executable, err := f.executable()
			if err != nil {
				return fmt.Errorf("find the program to start as monitor: %w", err)
			}
			o.MonitorCommand[0] = executable
			if o.Realtime {
				// Before anything is opened: it executes the program again.
				if err := realtime.Enter(ownImage); err != nil {
					return fmt.Errorf("%s: %w; run as root or give the right, or go without %s", o.set.Origin("realtime"), err, o.set.Origin("realtime"))
				}
			}
			keepName()
			log, flush := logging.NewAsync(o.logs)
			defer flush()
			o.Logger, o.ReloadLogLevel = log, func() error { return o.reloadLevel(f, log) }
			err = coordinator.Run(cmd.Context(), o.Options)
			if errors.Is(err, coordinator.ErrUsage) {
				return usage(err)
			}
			return err
		},
	}
	o = newCoordinatorFlags(cmd.Flags(), f)
	return cmd
}
