package netlab_test

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/testwait"
)

// inLab makes this test binary play a part in a lab instead of testing.
const inLab = "NETLAB_TEST_PART"

func TestMain(m *testing.M) {
	switch os.Getenv(inLab) {
	case "":
		goleak.VerifyTestMain(m)
	case "keeper":
		os.Exit(keeper())
	}
}

// keeper holds a lab with a process in it until it is killed.
func keeper() int {
	t := &program{dir: os.TempDir()}
	lab := netlab.New(t, netlab.Options{Hosts: 2})
	for _, h := range lab.Hosts() {
		// The shell's child outlives the shell.
		h.Start("/bin/sh", "-c", "sleep "+os.Getenv("NETLAB_TEST_MARK")+" & exec sleep 0")
	}
	for _, h := range lab.Hosts() {
		testwait.Until(t, time.Minute, "the process runs", func() bool { return len(h.Find("sleep", os.Getenv("NETLAB_TEST_MARK"))) > 0 })
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// program is a netlab.T that is no test.
type program struct{ dir string }

func (*program) Helper()                   {}
func (*program) Cleanup(func())            {}
func (*program) Logf(string, ...any)       {}
func (p *program) TempDir() string         { return p.dir }
func (*program) Skipf(f string, a ...any)  { panic(fmt.Sprintf(f, a...)) }
func (*program) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
