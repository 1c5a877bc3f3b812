package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/foreign"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// The commands that change the ring by one call of the coordinator.

func newHandoverCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "handover [NAME]",
		Short: "Give the leadership to the heir, or to the named member",
		Long: `Asks the leader to stop, and the heir or the named member to lead. Returns when
the new leader has declared itself, or at once if it leads already. You may ask
any member.`,
		Example: `  arc handover
  arc handover n3`,
		Args: one(0, "at most one member's NAME", checkName),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, f, with((*client.Client).Handover, first(args)), func(w io.Writer, r *arcv1.HandoverResponse) {
				line(w, "%s leads, token %d", or(r.GetLeader().GetName()), r.GetTerm())
			})
		},
	}
}

func newLeaveCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "leave",
		Short: "Take the asked coordinator out of the ring",
		Long: `Takes the asked coordinator out of the ring. A leader hands over first. Returns
when the change is committed. Its process ends then, and joins again when
it is started. Its name keeps its place in the history.`,
		Example: `  arc leave
  arc --addr 10.0.0.5:7400 leave`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, f, (*client.Client).Leave, func(w io.Writer, r *arcv1.LeaveResponse) {
				line(w, "left, epoch %d", r.GetEpoch())
			})
		},
	}
}

func newEvictCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "evict NAME",
		Short: "Remove a member that is known to be gone",
		Long: `Removes a member from the ring on the operator's word, and returns when the change
is committed. A member that was alive after all joins again under a new id.`,
		Example: `  arc evict n4`,
		Args:    one(1, "one member's NAME", checkName),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, f, with((*client.Client).Evict, args[0]), func(w io.Writer, r *arcv1.EvictResponse) {
				line(w, "%s evicted, epoch %d", args[0], r.GetEpoch())
			})
		},
	}
}

func newForgetCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "forget NAME",
		Short: "Drop a former member from the list of the departed",
		Long: `Drops a member that left or was evicted from the list that "arc status" prints. The
ring itself does not change. A name leaves the list by itself when it is back in
the ring, or when it was listed for longer than the setting forget_after_s.`,
		Example: `  arc forget n4`,
		Args:    one(1, "one former member's NAME", checkName),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, f, with((*client.Client).Forget, args[0]), func(w io.Writer, r *arcv1.ForgetResponse) {
				line(w, "%s (id %d) forgotten", args[0], r.GetId())
			})
		},
	}
}

func newRelinkCmd(f *factory) *cobra.Command {
	var target string
	var lasts time.Duration
	cmd := &cobra.Command{
		Use:   "relink",
		Short: "Make the local monitor dial its neighbour again",
		Long: `Makes the monitor of the asked coordinator drop its connections and dial its
neighbour again. This ends a temporary link.

--target makes a temporary link: the monitor probes the named member in place of
its neighbour. It lasts as long as --for says (5 s or five detection times by
default), but ends at the ring's next epoch. Meanwhile the monitor does not watch
its neighbour. arc status shows the time left.`,
		Example: `  arc relink
  arc relink --target n3
  arc relink --target n3 --for 30s`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags := cmd.Flags()
			err := usage(foreign.CheckName("--target", target))
			switch {
			case flags.Changed("target") && err != nil:
				return err
			case flags.Changed("for") && target == "":
				return usagef("--for needs --target: without it the monitor dials its own neighbour")
			case flags.Changed("for") && lasts < time.Millisecond:
				return usagef("--for %v: must be at least 1ms", lasts)
			}
			return ask(cmd, f, func(c *client.Client, ctx context.Context) (*arcv1.RelinkResponse, error) {
				return c.Relink(ctx, target, lasts)
			}, func(w io.Writer, r *arcv1.RelinkResponse) {
				if r.GetTarget() == "" {
					line(w, "the monitor has nobody to dial, epoch %d", r.GetEpoch())
					return
				}
				until := ""
				if ms := r.GetForMs(); ms != 0 {
					until = fmt.Sprintf(" for %v", time.Duration(ms)*time.Millisecond)
				}
				line(w, "the monitor dials %s%s, epoch %d", r.GetTarget(), until, r.GetEpoch())
			})
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "member `NAME` to probe for a while in place of the neighbour")
	cmd.Flags().DurationVar(&lasts, "for", 0, "`DURATION` for which --target is probed, at most 1m")
	return cmd
}
