package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/config"
)

func newHistoryCmd(f *factory) *cobra.Command {
	var limit string
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Past leaderships: token, name, since when, why, how long the gap was",
		Long: `Prints the leaderships that the ring remembers, the oldest first. GAP is how
long there was no leader before, as far as the new one knew; EVIDENCE what
spoke against the one before.`,
		Example: `  arc history
  arc history --limit 5
  arc history -o json | jq '.entries[-1]'`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := config.Int(0, 1<<20)(limit)
			if err != nil {
				return usagef(cmd, "--limit: %w", err)
			}
			return f.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				h, err := c.History(ctx, uint32(n))
				if err != nil {
					return err
				}
				if len(h.GetEntries()) == 0 && !f.json {
					f.note("nobody has led yet")
					return nil
				}
				return f.print(h, func(w io.Writer) error {
					var lines [][]string
					for _, e := range h.GetEntries() {
						lines = append(lines, []string{number(e.GetTerm()), e.GetName(), number(e.GetId()), f.when(e.GetSince()), millis(e.GetGapMs()),
							or(e.GetAfter()), or(e.GetEvidence()), e.GetWhy()})
					}
					return rows(w, "TOKEN NAME ID SINCE GAP AFTER EVIDENCE WHY", lines)
				})
			})
		},
	}
	cmd.Flags().StringVar(&limit, "limit", "0", "print only so many of the newest; 0 means all that are kept")
	return cmd
}
