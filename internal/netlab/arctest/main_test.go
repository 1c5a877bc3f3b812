package arctest

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var (
	nemesisFor  = flag.Duration("nemesis", 20*time.Second, "how long the nemesis works")
	nemesisSeed = flag.Uint64("nemesis-seed", 0, "seed of the nemesis; 0 draws one")
	alarmsFor   = flag.Duration("alarms", 10*time.Second, "how long busy nodes are watched for false alarms")
	restFor     = flag.Duration("rest", 10*time.Second, "how long the cost of rings at rest is measured")
	floodFor    = flag.Duration("flood", 3*time.Second, "how long each flood lasts")
	keepLogs    = flag.String("keep-logs", "", "directory that gets the logs of all nodes")
	realDisk    = flag.Bool("real-disk", false, "the benchmarks' hosts write to this machine's disk, all to the same one")
	inClear     = flag.Bool("insecure", false, "run without a secret, for comparison and for binaries that know none")
	arcBinary   = flag.String("arc", "", "the arc binary to test; default: build it")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *flooderOrder != "" {
		os.Exit(runFlooder(*flooderOrder))
	}
	os.Exit(withBinary(m.Run))
}

// withBinary builds arc unless it was given.
func withBinary(run func() int) int {
	if *arcBinary != "" {
		path, err := filepath.Abs(*arcBinary)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		*arcBinary = path
		return run()
	}
	dir, err := os.MkdirTemp("", "arctest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*arcBinary = filepath.Join(dir, "arc")
	build := exec.Command("go", "build", "-C", "../../..", "-o", *arcBinary, "./cmd/arc")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build arc:", err)
		return 1
	}
	return run()
}
