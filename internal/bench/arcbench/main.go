package main

import (
	"os"
	"runtime"

	"github.com/arc-ring/arc/internal/bench/console"
)

func main() {
	// It listens: a second processor would be woken to look for work, and taken
	// from those who are measured.
	runtime.GOMAXPROCS(1)
	os.Exit(console.Run("bench", newCommand(os.Stdout, os.Stderr).ExecuteContext))
}
