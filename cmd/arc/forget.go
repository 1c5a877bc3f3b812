package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func newForgetCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "forget NAME",
		Short: "Drop a former member from the list of the departed",
		Long: `Drops a member that left or was evicted from the list that "arc status" prints. The
ring itself does not change. A name leaves the list by itself when it is back in
the ring, or when it was listed for longer than the setting forget_after_s.`,
		Example: `  arc forget n4`,
		Args:    names(between(1, 1, "one former member's NAME")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, f, func(c *client.Client, ctx context.Context) (*arcv1.ForgetResponse, error) {
				return c.Forget(ctx, args[0])
			}, func(w io.Writer, r *arcv1.ForgetResponse) {
				line(w, "%s (id %d) forgotten", args[0], r.GetId())
			})
		},
	}
}
