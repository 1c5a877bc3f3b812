package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
)

func newRelinkCmd(f *factory) *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:   "relink",
		Short: "Make the local monitor dial its neighbour afresh",
		Long: `Makes the monitor of the asked coordinator drop its connections and dial its
neighbour afresh. With --target it probes the named member instead, until the
ring's next epoch.`,
		Example: `  arc relink
  arc relink --target n3`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if given(cmd.Flags(), "target") && target == "" {
				return usagef(cmd, "--target: must not be empty")
			}
			return f.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := c.Relink(ctx, target)
				if err != nil {
					return err
				}
				return f.print(r, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "the monitor dials %s, epoch %d\n", or(r.GetTarget()), r.GetEpoch())
					return err
				})
			})
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "member to probe until the next epoch")
	return cmd
}
