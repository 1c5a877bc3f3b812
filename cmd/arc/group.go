package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/internal/foreign"
)

// grouping makes cmd a command that only groups others, and says which if none of
// them is named.
func grouping(cmd *cobra.Command, cmds ...*cobra.Command) *cobra.Command {
	names := make([]string, len(cmds))
	for i, c := range cmds {
		names[i] = c.Name()
	}
	last := len(names) - 1
	want := strings.Join(names[:last], ", ") + " or " + names[last]
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil // RunE says what is missing
		}
		return usagef("%s wants %s, got %s", cmd.CommandPath(), want, foreign.Quote(strings.Join(args, " ")))
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		return usagef("%s wants %s, got none", cmd.CommandPath(), want)
	}
	cmd.AddCommand(cmds...)
	return cmd
}
