package main

import (
	"os"

	"github.com/arc-ring/arc/internal/bench/console"
)

func main() {
	os.Exit(console.Run("alarms", newCommand(os.Stdin, os.Stdout, os.Stderr).ExecuteContext))
}
