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
		Args: none,
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
				return c.RelinkFor(ctx, target, lasts)
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
