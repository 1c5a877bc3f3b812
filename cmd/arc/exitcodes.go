package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/wal"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNoLeader    = 3
	exitUnreachable = 4
)

// exitMeanings is what `arc help exit-codes` prints.
var exitMeanings = []string{
	exitDone:        "done",
	exitFailed:      "failed: the coordinator refused it, or it did not happen in time",
	exitUsage:       "usage: the command line, an option or an argument is wrong",
	exitNoLeader:    "no leader, or in no ring yet; for `arc leader --self`: this machine does not lead now",
	exitUnreachable: "no coordinator answers at the address",
}

// exitTable says which error has which code; the first match counts, what
// matches none failed.
var exitTable = []struct {
	is   error
	code int
}{
	{errUsage, exitUsage},
	{client.ErrBadAddr, exitUsage},
	{client.ErrInvalid, exitUsage},
	{wal.ErrForeign, exitUsage}, // --name, --cluster or --data-dir is wrong
	{client.ErrNotLeading, exitNoLeader},
	{client.ErrNoLeader, exitNoLeader},
	{client.ErrUnreachable, exitUnreachable},
}

func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	for _, row := range exitTable {
		if errors.Is(err, row.is) {
			return row.code
		}
	}
	return exitFailed
}

func newExitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("arc exits with\n\n")
	for code, meaning := range exitMeanings {
		fmt.Fprintf(&b, "  %d  %s\n", code, meaning)
	}
	b.WriteString("\nA crash of arc itself ends with 2, too: the Go runtime does so. It prints a stack.")
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: b.String()}
}
