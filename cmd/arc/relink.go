package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/foreign"
)

func newRelinkCmd(f *factory) *cobra.Command {
	var target string
	var lasts time.Duration
	cmd := &cobra.Command{
		Use:   "relink",
		Short: "Make the local monitor dial its neighbour afresh",
		Long: `Makes the monitor of the asked coordinator drop its connections and dial its
neighbour afresh, and ends a temporary link. With --target it probes the named
member instead: for 5 s or five detection times, or as long as --for says, and no
longer than until the ring's next epoch. Meanwhile it does not watch its own
neighbour; then it goes back by itself. arc status shows the time left.`,
		Example: `  arc relink
  arc relink --target n3
  arc relink --target n3 --for 30s`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if given(cmd.Flags(), "target") {
				if err := foreign.CheckName("--target", target); err != nil {
					return usagef(cmd, "%w", err)
				}
			}
			if given(cmd.Flags(), "for") {
				switch {
				case target == "":
					return usagef(cmd, "--for needs --target: without it the monitor dials its own neighbour")
				case lasts < time.Millisecond:
					return usagef(cmd, "--for %v: must be at least 1ms", lasts)
				}
			}
			return f.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := c.RelinkFor(ctx, target, lasts)
				if err != nil {
					return err
				}
				return f.print(r, func(w io.Writer) error {
					if r.GetTarget() == "" {
						_, err := fmt.Fprintf(w, "the monitor has nobody to dial, epoch %d\n", r.GetEpoch())
						return err
					}
					until := ""
					if ms := r.GetForMs(); ms != 0 {
						until = fmt.Sprintf(" for %v", time.Duration(ms)*time.Millisecond)
					}
					_, err := fmt.Fprintf(w, "the monitor dials %s%s, epoch %d\n", r.GetTarget(), until, r.GetEpoch())
					return err
				})
			})
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "member `NAME` to probe for a while in place of the neighbour")
	cmd.Flags().DurationVar(&lasts, "for", 0, "`DURATION` for which --target is probed, at most 1m")
	return cmd
}
