package devring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Process tests stop at such bounds; none of them is a claim about speed. They
// are far above what is expected, for machines that do something else too.
const (
	formBound = 30 * time.Second
	stepBound = 20 * time.Second
)

// calm is the profile for tests of what must not happen: a test machine that
// stops for half a second is no fault of ARC's.
const calm = "wan"

var buildDir string

func TestMain(m *testing.M) {
	var err error
	buildDir, err = os.MkdirTemp("", "arc-build-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(buildDir)
		os.Exit(code)
	}))
}

// arcBinary builds the program once.
var arcBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "arc")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/arc").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build ./cmd/arc: %w\n%s", err, out)
	}
	return path, nil
})

func binary(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: runs real processes")
	}
	path, err := arcBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// prepare makes a ring that the test ends, judges and, if it failed, reports.
func prepare(t testing.TB, o Options) *Ring {
	t.Helper()
	o.Arc = binary(t)
	dir, err := os.MkdirTemp("", "arc-ring-") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	o.Dir = dir
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, v := range r.Violations() {
			t.Errorf("guarantee broken: %s", v)
		}
		if t.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			t.Logf("%s\n%s", eventsReport(r, 60), r.Report(ctx, 6000))
		}
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if left := pidsBelow(dir); len(left) > 0 {
			t.Errorf("processes %v are left", left)
		}
	})
	return r
}

func eventsReport(r *Ring, last int) string {
	var b strings.Builder
	events := r.Since(0)
	if len(events) > last {
		events = events[len(events)-last:]
	}
	for _, ev := range events {
		fmt.Fprintf(&b, "%s %s\n", ev.At.Format("15:04:05.000"), ev)
	}
	return b.String()
}

// whole starts all nodes at once and waits for the whole ring.
func whole(t testing.TB, o Options) (*Ring, *arcv1.StatusResponse) {
	t.Helper()
	r := prepare(t, o)
	startAll(t, r)
	return r, awaitRing(t, r, formBound)
}

func startAll(t testing.TB, r *Ring) {
	t.Helper()
	for _, n := range r.Nodes() {
		if !n.Running() {
			must(t, n.Start())
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func awaitRing(t testing.TB, r *Ring, bound time.Duration) *arcv1.StatusResponse {
	t.Helper()
	st, err := r.AwaitRing(within(t, bound))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func awaitEvent(t testing.TB, r *Ring, mark int, what string, fits func(observe.Event) bool) observe.Event {
	t.Helper()
	ev, err := r.AwaitEvent(within(t, stepBound), mark, what, fits)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func member(st *arcv1.StatusResponse, name string) *arcv1.MemberStatus {
	for _, m := range st.GetMembers() {
		if m.GetName() == name {
			return m
		}
	}
	return nil
}

// next is who the named member monitors.
func next(st *arcv1.StatusResponse, name string) string { return member(st, name).GetMonitors() }

// watcher is who monitors the named member.
func watcher(st *arcv1.StatusResponse, name string) string {
	for _, m := range st.GetMembers() {
		if m.GetMonitors() == name {
			return m.GetName()
		}
	}
	return ""
}

func highestID(st *arcv1.StatusResponse) uint64 {
	var id uint64
	for _, m := range st.GetMembers() {
		id = max(id, m.GetId())
	}
	return id
}

// bystander is a node that is neither leader nor heir.
func bystander(t testing.TB, r *Ring, st *arcv1.StatusResponse) *Node {
	t.Helper()
	for _, n := range r.Running() {
		if n.name != st.GetLeader().GetName() && n.name != st.GetHeir() {
			return n
		}
	}
	t.Fatal("no bystander")
	return nil
}

// arc runs one command of the program and returns what it printed and its exit
// code.
func arc(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx := within(t, stepBound)
	cmd := exec.CommandContext(ctx, binary(t), args...)
	cmd.Env = cleanEnv()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		code = exit.ExitCode()
	default:
		t.Fatalf("arc %v: %v", args, err)
	}
	return out.String(), errs.String(), code
}
