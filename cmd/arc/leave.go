package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
)

func newLeaveCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "leave",
		Short: "Take the asked coordinator out of the ring",
		Long: `Takes the asked coordinator out of the ring in order: a leader hands over first.
Returns when the change is committed. Its process ends then, and joins again when
it is started. Its name keeps its place in the history.`,
		Example: `  arc leave
  arc --addr 10.0.0.5:7400 leave`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := c.Leave(ctx)
				if err != nil {
					return err
				}
				return f.print(r, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "left, epoch %d\n", r.GetEpoch())
					return err
				})
			})
		},
	}
}
