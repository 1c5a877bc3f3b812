package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
)

func newEvictCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "evict NAME",
		Short: "Remove a member that is known to be gone",
		Long: `Removes a member from the ring on the operator's word. Returns when the change is
committed. If it was alive after all it joins again under a new id.`,
		Example: `  arc evict n4`,
		Args:    names(exactly(1, "one member's NAME")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := c.Evict(ctx, args[0])
				if err != nil {
					return err
				}
				return f.print(r, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s evicted, epoch %d\n", args[0], r.GetEpoch())
					return err
				})
			})
		},
	}
}
