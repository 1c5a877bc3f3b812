package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
)

func newForgetCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "forget NAME",
		Short: "Drop a former member from the list of those who departed",
		Long: `Drops a former member, which left or was evicted, from the list that "arc status"
prints. It changes nothing in the ring. A name that is back in the ring leaves
the list by itself, and so does one that is listed for longer than the setting
forget_after_s.`,
		Example: `  arc forget n4`,
		Args:    names(exactly(1, "one former member's NAME")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := c.Forget(ctx, args[0])
				if err != nil {
					return err
				}
				return f.print(r, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s (id %d) forgotten\n", args[0], r.GetId())
					return err
				})
			})
		},
	}
}
