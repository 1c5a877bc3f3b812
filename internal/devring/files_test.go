package devring

import (
	"context"
	"errors"
	"fmt"
	"io"
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

	"github.com/arc-ring/arc/internal/observe"
)

// The reader of the log goes away: coordinator and monitor live on.
func TestDaemonOutlivesTheReaderOfItsLog(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{Nodes: 1, Profile: calm, LogLevel: "debug"})
	n := r.Node(1)
	cmd := exec.Command(binary(t), n.Args()...)
	cmd.Env = cleanEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	ended := make(chan error, 1)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	_, err = log.Read(make([]byte, 1)) // it runs
	must(t, err)
	must(t, log.Close())
	go func() { ended <- cmd.Wait() }()
	var monitor int
	for i := range 5 { // each call makes it log
		must(t, r.Until(within(t, stepBound), "a leader", func(context.Context) error {
			if _, errs, code := arc(t, "--addr", n.Addr(), "leader", "--self"); code != 0 {
				return fmt.Errorf("arc leader --self: code %d, %s", code, errs)
			}
			return nil
		}))
		if _, errs, code := arc(t, "--addr", n.Addr(), "config", "set", fmt.Sprintf("max_voters=%d", 3+i)); code != 0 {
			t.Fatalf("arc config set: code %d, %s", code, errs)
		}
		pid, err := n.MonitorPID()
		must(t, err)
		if monitor != 0 && pid != monitor {
			t.Errorf("the monitor was %d, and is %d", monitor, pid)
		}
		monitor = pid
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-ended:
		ended <- nil
		if err != nil {
			t.Errorf("the end by SIGTERM: %v", err)
		}
	case <-time.After(stepBound):
		t.Error("it does not end by SIGTERM")
	}
}

// A cleaner empties the run directory, or removes it: the socket is there again
// soon, and so are the pid files.
func TestRunDirectoryIsMadeAgain(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	n := bystander(t, r, st)
	for _, clean := range []func() error{
		func() error { return os.RemoveAll(n.RunDir()) },
		func() error { return os.Remove(filepath.Join(n.RunDir(), "arc.sock")) },
		func() error { return os.Remove(n.monitorPIDFile()) },
	} {
		logged := len(n.LogTail(1 << 20))
		must(t, clean())
		must(t, r.Until(within(t, stepBound), "a socket and a monitor", func(context.Context) error {
			if _, errs, code := arc(t, "--addr", n.Addr(), "status"); code != 0 {
				return fmt.Errorf("arc status: code %d, %s", code, errs)
			}
			pid, err := n.MonitorPID()
			if err == nil && !exists(pid) {
				err = errNotYet
			}
			return errors.Join(err, logs(n, logged, "had been removed and were made again"))
		}))
		// Nobody else may take what is in use.
		if _, errs, code := arc(t, n.Args()...); code != 1 || !strings.Contains(errs, "another coordinator is running") {
			t.Errorf("a second coordinator there: code %d, %s", code, errs)
		}
	}
	// A monitor that is started now finds its way.
	mark := r.Mark()
	must(t, n.KillMonitor())
	awaitEvent(t, r, mark, "that the monitor is back", func(ev observe.Event) bool { return ev.Type() == "monitor_back" && ev.By == n.name })
	awaitRing(t, r, stepBound)
}

// An upgrade replaces or removes the program: monitors are started as before,
// from the version that runs.
func TestMonitorOutlivesItsProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "arc")
	copyFile(t, binary(t), path)
	r := prepare(t, Options{Nodes: 2, Profile: calm})
	r.opts.Arc = path
	startAll(t, r)
	awaitRing(t, r, formBound)
	n := r.Node(1)
	for _, upgrade := range []func() error{
		func() error { return os.Remove(path) },
		func() error { return os.WriteFile(path, []byte("#!/bin/false\n"), 0o755) },
	} {
		must(t, upgrade())
		mark := r.Mark()
		must(t, n.KillMonitor())
		awaitEvent(t, r, mark, "that the monitor is back", func(ev observe.Event) bool { return ev.Type() == "monitor_back" && ev.By == n.name })
	}
	awaitRing(t, r, stepBound)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	must(t, err)
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, errors.Join(err, out.Close()))
}

// A monitor that is stopped is replaced, and who is lost meanwhile is evicted.
func TestStoppedMonitorLeavesNobodyUnwatched(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 5})
	lost := bystander(t, r, st)
	n := r.Named(watcher(st, lost.name))
	mark := r.Mark()
	must(t, n.SignalMonitor(syscall.SIGSTOP))
	must(t, lost.PowerOff())
	awaitEvent(t, r, mark, "that "+lost.name+" is evicted", func(ev observe.Event) bool {
		return ev.Type() == "evicted" && ev.GetNode() == lost.name
	})
	awaitEvent(t, r, mark, "that the monitor is missed", func(ev observe.Event) bool { return ev.Type() == "monitor_lost" && ev.By == n.name })
	awaitEvent(t, r, mark, "that the monitor is back", func(ev observe.Event) bool { return ev.Type() == "monitor_back" && ev.By == n.name })
	awaitRing(t, r, stepBound)
}

// All descriptors are taken: a monitor can still be started.
func TestMonitorIsStartedWithoutFreeDescriptors(t *testing.T) {
	t.Parallel()
	r, _ := whole(t, Options{Nodes: 1, Profile: calm})
	n := r.Node(1)
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.PID()))
	must(t, err)
	var limit unix.Rlimit
	must(t, unix.Prlimit(n.PID(), unix.RLIMIT_NOFILE, nil, &limit))
	limit.Cur = 0
	for _, fd := range fds { // one that is closed for a moment leaves a gap, so they are not counted
		number, err := strconv.ParseUint(fd.Name(), 10, 64)
		must(t, err)
		limit.Cur = max(limit.Cur, number+1)
	}
	must(t, unix.Prlimit(n.PID(), unix.RLIMIT_NOFILE, &limit, nil))
	mark := r.Mark()
	must(t, n.KillMonitor())
	awaitEvent(t, r, mark, "that the monitor is back", func(ev observe.Event) bool { return ev.Type() == "monitor_back" })
}

// A data directory that is removed under the leader is noticed, and nothing is
// acknowledged that would be gone.
func TestRemovedDataDirectoryEndsTheCoordinator(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"removed", "moved"} {
		r, _ := whole(t, Options{Nodes: 1, Profile: calm})
		n := r.Node(1)
		if how == "removed" {
			must(t, os.RemoveAll(n.DataDir()))
		} else {
			must(t, os.Rename(n.DataDir(), n.DataDir()+".old"))
		}
		must(t, n.Wait(within(t, stepBound)))
		if n.ExitCode() != 1 || logs(n, 0, "put the directory "+n.DataDir()+" back") != nil {
			t.Errorf("%s: code %d, log %s", how, n.ExitCode(), n.LogTail(2000))
		}
	}
}

// What is no regular file in the directories is refused at once.
func TestStartRefusesPipes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"run/coordinator.pid", "data/lock", "data/00000000000000000001.log", "data", "run"} {
		r := prepare(t, Options{Nodes: 1})
		n := r.Node(1)
		path := filepath.Join(n.dir, name)
		must(t, os.RemoveAll(path))
		must(t, unix.Mkfifo(path, 0o600))
		if _, errs, code := arc(t, n.Args()...); code != 1 || !strings.Contains(errs, "a named pipe") && name != "run" || !strings.Contains(errs, path) {
			t.Errorf("a pipe as %s: code %d, %s", name, code, errs)
		}
	}
}

// The run directory of an ordinary user lies where everybody may make one.
func TestStartRefusesTheRunDirectoryOfSomebodyElse(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make directories of others")
	}
	r := prepare(t, Options{Nodes: 1})
	n := r.Node(1)
	victim := filepath.Join(n.dir, "victim")
	must(t, os.WriteFile(victim, []byte("precious"), 0o644))
	must(t, os.Symlink(victim, filepath.Join(n.RunDir(), "coordinator.pid")))
	if _, errs, code := arc(t, n.Args()...); code != 1 || !strings.Contains(errs, "a symbolic link") {
		t.Errorf("a link as pid file: code %d, %s", code, errs)
	}
	must(t, os.Chown(n.RunDir(), 12345, 12345))
	if _, errs, code := arc(t, n.Args()...); code != 1 || !strings.Contains(errs, "belongs to user 12345") {
		t.Errorf("the run directory of user 12345: code %d, %s", code, errs)
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("behind the link is %q, %v", b, err)
	}
}

// http2Begins is what a client of HTTP/2 says first: its preface, and no settings.
const http2Begins = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// A coordinator that may have 300 descriptors, and whom a stranger gives 400
// connections, answers on its socket, and its monitor can be replaced.
func TestStrangersTakeNotTheLastDescriptors(t *testing.T) {
	t.Parallel()
	for name, inClear := range map[string]bool{"who speak in the clear": true, "who begin no handshake": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			strangersTakeNotTheLastDescriptors(t, inClear)
		})
	}
}

func strangersTakeNotTheLastDescriptors(t *testing.T, inClear bool) {
	r := prepare(t, Options{Nodes: 1, Profile: calm, Clear: inClear})
	n := r.Node(1)
	arcBinary := n.arc
	script := filepath.Join(t.TempDir(), "arc")
	must(t, os.WriteFile(script, []byte("#!/bin/sh\nulimit -n 300\nexec "+arcBinary+" \"$@\"\n"), 0o755))
	use(script, n)
	startAll(t, r)
	awaitRing(t, r, formBound)
	var limit unix.Rlimit
	must(t, unix.Prlimit(n.PID(), unix.RLIMIT_NOFILE, nil, &limit))
	if limit.Cur != 300 {
		t.Fatalf("it may have %d descriptors", limit.Cur)
	}
	for range 400 {
		c, err := net.Dial("tcp", n.TCPAddr())
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		if inClear {
			_, _ = io.WriteString(c, http2Begins) // so it stays, unless somebody ends it
		}
	}
	var secret []string
	if !inClear {
		secret = []string{"--secret-file", r.SecretFile()}
	}
	mark := r.Mark()
	must(t, n.KillMonitor())
	awaitEvent(t, r, mark, "that the monitor is back", func(ev observe.Event) bool { return ev.Type() == "monitor_back" })
	if out, errs, code := arc(t, "--addr", n.Addr(), "leader", "--self"); code != 0 {
		t.Errorf("arc leader --self: code %d, %q %q", code, out, errs)
	}
	if _, errs, code := arc(t, append(secret, "--addr", n.TCPAddr(), "status")...); code != 0 {
		t.Errorf("arc status over the network: code %d, %q", code, errs)
	}
}
