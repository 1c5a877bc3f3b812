package main

import (
	"fmt"
	"os"
	"strings"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := orderly()
	defer stop()
	err := execute(ctx, newFactory(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "arc: "+strings.ReplaceAll(err.Error(), "\n", "\narc: "))
	}
	return exitCode(err)
}
