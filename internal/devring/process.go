package devring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// spawner runs functions on one OS thread that lives as long as the ring: the
// kernel sends Pdeathsig when the *thread* that forked ends.
type spawner struct {
	work chan func()
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s
}

func (s *spawner) do(f func() error) error {
	result := make(chan error, 1)
	s.work <- func() { result <- f() }
	return <-result
}

func (s *spawner) close() {
	close(s.work)
	<-s.done
}

// orphans waits for monitors whose coordinator has died and which therefore
// became our children. It never waits for a pid that it was not told.
type orphans struct {
	mu   sync.Mutex
	pids map[int]struct{}
	stop chan struct{}
	done chan struct{}
}

const reapEvery = 100 * time.Millisecond

func newOrphans() *orphans {
	o := &orphans{pids: map[int]struct{}{}, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(o.done)
		tick := time.NewTicker(reapEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				o.reap()
			case <-o.stop:
				o.reap()
				return
			}
		}
	}()
	return o
}

func (o *orphans) add(pid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pids[pid] = struct{}{}
}

func (o *orphans) reap() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for pid := range o.pids {
		// ECHILD: it is not ours yet, or not ours at all. Keep it while it
		// exists: it may still become an orphan.
		got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
		if got == pid || errors.Is(err, unix.ECHILD) && !exists(pid) {
			delete(o.pids, pid)
		}
	}
}

func (o *orphans) close() {
	close(o.stop)
	<-o.done
}

func exists(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

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

// below reports whether the process was started with a path below dir.
func below(pid int, dir string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && bytes.Contains(line, []byte(dir+"/"))
}

// signalBelow sends a signal to a process if it was started with a path below
// dir. The handle keeps a reused pid from being hit.
func signalBelow(pid int, dir string, sig os.Signal) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer func() { _ = p.Release() }()
	if !below(pid, dir) {
		return os.ErrProcessDone
	}
	return p.Signal(sig)
}

// killAllBelow kills every process that was started with a path below dir,
// but for this one, and waits until none is left.
func killAllBelow(ctx context.Context, dir string, o *orphans) error {
	for {
		left := pidsBelow(dir)
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			o.add(pid)
			if err := signalBelow(pid, dir, unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
		o.reap()
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v below %s do not die", left, dir)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// pidsBelow lists the processes that ARC's own commands started below dir. A
// person's `arc --addr unix://dir/…` is none of them, but dies with its ring
// anyway; an editor that has a file of dir open is left alone.
func pidsBelow(dir string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !below(pid, dir) {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		args := strings.Split(string(line), "\x00")
		if len(args) > 1 && (args[1] == "monitor" || args[1] == "coordinator") {
			out = append(out, pid)
		}
	}
	return out
}
