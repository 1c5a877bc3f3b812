package devring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/connect"
)

// spawner runs functions on one OS thread that lives until the channel is closed:
// the kernel sends Pdeathsig when the *thread* that forked ends.
func spawner() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
}

func (r *Ring) spawn(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	r.spawner <- func() { started <- cmd.Start() }
	return <-started
}

// reap waits for a monitor that became our child when its coordinator died.
func (r *Ring) reap(pid int) {
	r.reaping.Go(func() {
		var err error = unix.EINTR
		for errors.Is(err, unix.EINTR) {
			_, err = unix.Wait4(pid, nil, 0, nil) // ECHILD: it is not ours
		}
	})
}

// readPID reads a pid file.
func readPID(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return 0, fmt.Errorf("%s: %q is no pid", path, text)
	}
	return pid, nil
}

// below reports whether the process is a coordinator or a monitor that was started
// with a path below dir. A person's `arc --addr unix://dir/…` is neither, but dies
// with its ring anyway; an editor that has a file of dir open is left alone.
func below(pid int, dir string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	args := strings.Split(string(line), "\x00")
	return err == nil && len(args) > 1 && (args[1] == "monitor" || args[1] == "coordinator") && strings.Contains(string(line), dir+"/")
}

// signalBelow sends a signal to a process of ARC's that was started with a path
// below dir. The handle keeps a reused pid from being hit.
func signalBelow(pid int, dir string, sig os.Signal) error {
	p, _ := os.FindProcess(pid) // it always succeeds on Unix
	defer func() { _ = p.Release() }()
	if !below(pid, dir) {
		return os.ErrProcessDone
	}
	return p.Signal(sig)
}

// killAll kills every process of ARC's that was started with a path below the
// ring's directory, and waits until none is left.
func (r *Ring) killAll(ctx context.Context) error {
	dir := r.opts.Dir
	reaped := map[int]bool{}
	for {
		left := pidsBelow(dir)
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			if err := signalBelow(pid, dir, unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
			if !reaped[pid] {
				reaped[pid] = true
				r.reap(pid)
			}
		}
		if !connect.Wait(ctx, killEvery) {
			return fmt.Errorf("processes %v below %s do not die", left, dir)
		}
	}
}

const killEvery = 20 * time.Millisecond

// pidsBelow lists the processes of ARC's that were started with a path below dir.
func pidsBelow(dir string) []int {
	entries, _ := os.ReadDir("/proc") // without it none can be found
	var out []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() && below(pid, dir) {
			out = append(out, pid)
		}
	}
	return out
}
