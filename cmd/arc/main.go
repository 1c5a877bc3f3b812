package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends the work in order; the second ends the process.
	defer context.AfterFunc(ctx, stop)()

	err := execute(ctx, newFactory(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "arc: "+strings.ReplaceAll(err.Error(), "\n", "\narc: "))
	}
	return exitCode(err)
}
