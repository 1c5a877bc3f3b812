package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func newHandoverCmd(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:   "handover [NAME]",
		Short: "Give the leadership to the heir, or to the named member",
		Long: `Asks the leader to stop, and the heir or the named member to lead. Returns when
the new leader has declared itself, or at once if it leads already. You may ask
any member.`,
		Example: `  arc handover
  arc handover n3`,
		Args: names(between(0, 1, "at most one member's NAME")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, f, func(c *client.Client, ctx context.Context) (*arcv1.HandoverResponse, error) {
				return c.Handover(ctx, first(args))
			}, func(w io.Writer, r *arcv1.HandoverResponse) {
				line(w, "%s leads, token %d", or(r.GetLeader().GetName()), r.GetTerm())
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
