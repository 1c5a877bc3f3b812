package devring

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Coordinators and monitors of --realtime are realtime in every thread, a
// monitor that is started later too, and behave like any other.
func TestRealtimeProcesses(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: for CAP_SYS_NICE and CAP_IPC_LOCK")
	}
	r := prepare(t, Options{Nodes: 2, Profile: calm, Args: func(int) []string { return []string{"--realtime"} }})
	if err := r.Node(1).Start(); err != nil {
		t.Fatal(err)
	}
	must(t, r.Until(within(t, stepBound), "the first log line", func(context.Context) error {
		switch log := r.Node(1).LogTail(1 << 20); {
		case strings.Contains(log, "the process has CAP_SYS_NICE"):
			t.Skipf("--realtime is not possible here, as the coordinator says: %s", log)
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

// A service manager hears from the process that it started, also if that has
// executed itself again: systemd (Type=notify) listens to the main pid alone.
func TestServiceManagerIsNotified(t *testing.T) {
	for _, how := range []string{"plain", "realtime"} {
		t.Run(how, func(t *testing.T) {
			var args []string
			if how == "realtime" {
				if os.Getuid() != 0 {
					t.Skip("needs root: for CAP_SYS_NICE and CAP_IPC_LOCK")
				}
				args = append(args, "--realtime")
			}
			dir, err := os.MkdirTemp("", "arc-notify-")
			must(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			manager := notifySocket(t, filepath.Join(dir, "notify"))
			t.Setenv("NOTIFY_SOCKET", manager.LocalAddr().String())
			r := prepare(t, Options{Nodes: 1, Profile: calm})
			n := r.Node(1)
			must(t, n.Start(args...))
			pid := n.PID()
			state, by := notice(t, manager, n)
			if state != "READY=1" || by != pid {
				t.Errorf("process %d says %q first, want READY=1 of %d", by, state, pid)
			}
			if how == "realtime" {
				must(t, isRealtime(pid))
			}
			awaitRing(t, r, formBound)
			must(t, n.Terminate(within(t, stepBound)))
			if state, by := notice(t, manager, n); state != "STOPPING=1" || by != pid {
				t.Errorf("process %d says %q after SIGTERM, want STOPPING=1 of %d", by, state, pid)
			}
		})
	}
}

// notifySocket listens as a service manager does: it is told who speaks.
func notifySocket(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	raw, err := conn.SyscallConn()
	must(t, err)
	var failed error
	must(t, raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }))
	must(t, failed)
	return conn
}

// notice is the next one, and the pid of its sender. A node that ended because
// the machine forbids realtime ends the test.
func notice(t *testing.T, manager *net.UnixConn, n *Node) (state string, by int) {
	t.Helper()
	limit := time.Now().Add(stepBound)
	data, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	for {
		must(t, manager.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
		got, gotControl, _, _, err := manager.ReadMsgUnix(data, control)
		if err == nil {
			messages, err := unix.ParseSocketControlMessage(control[:gotControl])
			must(t, err)
			who, err := unix.ParseUnixCredentials(&messages[0])
			must(t, err)
			return string(data[:got]), int(who.Pid)
		}
		if log := n.LogTail(1 << 16); strings.Contains(log, "the process has CAP_SYS_NICE") {
			t.Skipf("--realtime is not possible here, as the coordinator says: %s", log)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(limit) {
			t.Fatalf("no notice: %v\n%s", err, n.LogTail(1<<14))
		}
	}
}

// isRealtime reports whether every thread of a process is under SCHED_RR and its
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
		t.Skip("needs root: becomes nobody, to be without rights")
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
