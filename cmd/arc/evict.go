package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func newEvictCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "evict NAME",
		Short: "Remove a member that is known to be gone",
		Long: `Removes a member from the ring on the operator's word, and returns when the change
is committed. A member that was alive after all joins again under a new id.`,
		Example: `  arc evict n4`,
		Args:    names(between(1, 1, "one member's NAME")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, f, func(c *client.Client, ctx context.Context) (*arcv1.EvictResponse, error) {
				return c.Evict(ctx, args[0])
			}, func(w io.Writer, r *arcv1.EvictResponse) {
				line(w, "%s evicted, epoch %d", args[0], r.GetEpoch())
			})
		},
	}
}
