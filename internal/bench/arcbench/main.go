package main

import (
	"os"

	"github.com/arc-ring/arc/internal/bench/console"
)

func main() { os.Exit(console.Run("bench", newCommand(os.Stdout, os.Stderr).ExecuteContext)) }
