package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/arc-ring/arc/internal/foreign"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := orderly()
	defer stop()
	err := execute(ctx, newFactory(), os.Args[1:])
	if errors.Is(err, errUnread) {
		endUnread()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "arc: "+strings.ReplaceAll(foreign.Report(err.Error()), "\n", "\narc: "))
	}
	return exitCode(err)
}
