package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
)

func newHandoverCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "handover [NAME]",
		Short: "Give the leadership to the heir, or to the named member",
		Long: `Asks the leader to stop and the heir, or the named member, to lead. Returns when
the new leader has declared itself, at once if it leads already. Any member may
be asked.`,
		Example: `  arc handover
  arc handover n3`,
		Args: names(atMost(1, "at most one member's NAME")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := c.Handover(ctx, first(args))
				if err != nil {
					return err
				}
				return f.print(r, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s leads, token %d\n", or(r.GetLeader().GetName()), r.GetTerm())
					return err
				})
			})
		},
	}
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
