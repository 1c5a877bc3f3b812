package devring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Coordinators and monitors of --realtime are realtime in every thread, a
// monitor that is started later too, and behave like any other.
func TestRealtimeProcesses(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	r := prepare(t, Options{Nodes: 2, Profile: calm, Args: func(int) []string { return []string{"--realtime"} }})
	if err := r.Node(1).Start(); err != nil {
		t.Fatal(err)
	}
	must(t, r.Until(within(t, stepBound), "the first log line", func(context.Context) error {
		switch log := r.Node(1).LogTail(1 << 20); {
		case strings.Contains(log, "the process has CAP_SYS_NICE"):
			t.Skip(log)
			return nil
		case !strings.Contains(log, "realtime is on"):
			return errors.New(log)
		}
		return nil
	}))
	startAll(t, r)
	st := awaitRing(t, r, formBound)
	for _, n := range r.Nodes() {
		written, err := readPID(n.RunDir() + "/coordinator.pid")
		must(t, err)
		if written != n.PID() {
			t.Errorf("the pid file of %s says %d, it is %d", n.name, written, n.PID())
		}
		old, err := n.MonitorPID()
		must(t, err)
		must(t, isRealtime(n.PID()))
		must(t, r.Until(within(t, stepBound), "a realtime monitor", func(context.Context) error { return isRealtime(old) }))

		dialsAfresh(t, r, n, next(st, n.name))
		must(t, n.KillMonitor())
		must(t, r.Until(within(t, stepBound), "a new monitor that is realtime", func(context.Context) error {
			pid, err := n.MonitorPID()
			if err == nil && pid == old {
				err = errNotYet
			}
			return errors.Join(err, isRealtime(pid))
		}))
		if log := n.LogTail(1 << 20); strings.Contains(log, "realtime is not complete") {
			t.Error(log)
		}
	}
}

// isRealtime tells whether every thread of a process is under SCHED_RR and its
// memory is locked.
func isRealtime(pid int) error {
	dir := "/proc/" + strconv.Itoa(pid)
	tasks, err := os.ReadDir(dir + "/task")
	if err != nil {
		return err
	}
	var errs []error
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		attr, err := unix.SchedGetAttr(tid, 0)
		switch {
		case errors.Is(err, unix.ESRCH):
		case err != nil:
			errs = append(errs, err)
		case attr.Policy != unix.SCHED_RR || attr.Priority == 0:
			errs = append(errs, fmt.Errorf("thread %d of %d: policy %d, priority %d", tid, pid, attr.Policy, attr.Priority))
		}
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return err
	}
	if strings.Contains(string(status), "VmLck:\t       0 kB") || !strings.Contains(string(status), "VmLck:") {
		errs = append(errs, fmt.Errorf("process %d has no locked memory", pid))
	}
	return errors.Join(errs...)
}

// Without the rights a coordinator says which ones, and starts nothing.
func TestRealtimeWithoutRights(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to give it away")
	}
	r := prepare(t, Options{Nodes: 1, Profile: calm})
	n := r.Node(1)
	out, code := asNobody(t, binary(t), append(n.Args(), "--realtime")...)
	if code != 1 {
		t.Errorf("exit code %d, want 1: %s", code, out)
	}
	for _, s := range []string{"--realtime", "CAP_SYS_NICE", "RLIMIT_RTPRIO", "CAP_IPC_LOCK", "RLIMIT_MEMLOCK"} {
		if !strings.Contains(out, s) {
			t.Errorf("%q does not name %s", out, s)
		}
	}
	if left := pidsBelow(n.dir); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// asNobody runs a program without any right.
func asNobody(t *testing.T, program string, args ...string) (out string, code int) {
	t.Helper()
	// Opened here: nobody may be unable to reach the build directory.
	f, err := os.Open(program)
	must(t, err)
	defer func() { _ = f.Close() }()
	cmd := exec.CommandContext(within(t, stepBound), "/proc/self/fd/3", args...)
	cmd.ExtraFiles = []*os.File{f}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	both, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(both), cmd.ProcessState.ExitCode()
}
