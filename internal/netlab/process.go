package netlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Command is a program to run on a host.
type Command struct {
	Path string
	Args []string
	// Env is added to the environment of this process.
	Env []string
	// Dir is the working directory; default the host's own, or / with FaultyDisks.
	Dir string
	// Stdout and Stderr, if not nil, get what the program says; it goes to
	// files else.
	Stdout, Stderr io.Writer
}

// Process is a program that was started on a host.
type Process struct {
	host   *Host
	name   string
	cmd    *exec.Cmd
	done   chan struct{}
	stdout string // file names, or empty
	stderr string
}

var processes atomic.Uint64 // numbers the log files

// Start runs a program on the host and does not wait for it. It ends with the
// host at the latest.
func (h *Host) Start(path string, args ...string) *Process {
	h.lab.t.Helper()
	return h.StartCommand(Command{Path: path, Args: args})
}

// StartCommand is Start with more to say.
func (h *Host) StartCommand(c Command) *Process {
	h.lab.t.Helper()
	h.mustBeOn()
	p, err := h.start(context.Background(), c)
	if err != nil {
		h.lab.t.Fatalf("netlab: start %s on %s: %v", c.Path, h, err)
	}
	return p
}

// Run runs a program on the host to its end and returns what it wrote to
// stdout. The error of a program that failed is an *exec.ExitError inside one
// with its stderr in the text.
func (h *Host) Run(limit time.Duration, path string, args ...string) (string, error) {
	h.lab.t.Helper()
	h.mustBeOn()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	p, err := h.start(ctx, Command{Path: path, Args: args, Stdout: &stdout, Stderr: &stderr})
	if err != nil {
		return "", fmt.Errorf("start %s on %s: %w", path, h, err)
	}
	<-p.done
	if !p.cmd.ProcessState.Success() {
		err := fmt.Errorf("%s %s on %s: %w: %s", filepath.Base(path), strings.Join(args, " "), h,
			&exec.ExitError{ProcessState: p.cmd.ProcessState}, strings.TrimSpace(stderr.String()))
		if ctx.Err() != nil {
			err = fmt.Errorf("%w (ended after %v)", err, limit)
		}
		return stdout.String(), err
	}
	return stdout.String(), nil
}

func (h *Host) start(ctx context.Context, c Command) (*Process, error) {
	p := &Process{host: h, name: filepath.Base(c.Path), done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, c.Path, c.Args...)
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Dir = c.Dir
	if p.cmd.Dir == "" {
		p.cmd.Dir = h.dir
		if h.disk != nil {
			// A child enters it before it runs its program, and this process stands
			// still meanwhile if it collects garbage: nobody would serve the disk.
			p.cmd.Dir = "/"
		}
	}
	// A terminal's Ctrl-C is for the test, which ends the lab.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A child that outlives it may hold the pipes of Stdout and Stderr.
	p.cmd.WaitDelay = time.Second

	var opened []*os.File
	defer func() {
		for _, f := range opened {
			_ = f.Close()
		}
	}()
	number := processes.Add(1)
	for _, stream := range []struct {
		given  io.Writer
		into   *io.Writer
		path   *string
		suffix string
	}{{c.Stdout, &p.cmd.Stdout, &p.stdout, "out"}, {c.Stderr, &p.cmd.Stderr, &p.stderr, "err"}} {
		if stream.given != nil {
			*stream.into = stream.given
			continue
		}
		*stream.path = filepath.Join(h.lab.dir, fmt.Sprintf("%s-%s-%d.%s", h.name, p.name, number, stream.suffix))
		f, err := os.Create(*stream.path)
		if err != nil {
			return nil, err
		}
		opened = append(opened, f)
		*stream.into = f
	}
	if err := h.thread.do(p.cmd.Start); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // also collects it, without which the host cannot end
		close(p.done)
	}()
	return p, nil
}

// Pid is the process's number as the test sees it; on the host it has another.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Wait waits for the end of the process; it fails the test if that takes
// longer than limit.
func (p *Process) Wait(limit time.Duration) *os.ProcessState {
	p.host.lab.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.host.lab.t.Fatalf("netlab: %s on %s still runs after %v; it says:\n%s", p.name, p.host, limit, p.Stderr())
	}
	return p.cmd.ProcessState
}

// Signal sends a signal; a process that has ended is no mistake.
func (p *Process) Signal(s os.Signal) {
	p.host.lab.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.host.lab.t.Fatalf("netlab: send %v to %s on %s: %v", s, p.name, p.host, err)
	}
}

// Kill ends the process as kill -9 does and waits until it is gone.
func (p *Process) Kill() {
	p.host.lab.t.Helper()
	p.Signal(syscall.SIGKILL)
	p.Wait(10 * time.Second)
}

// Stop freezes the process (SIGSTOP), Continue lets it go on.
func (p *Process) Stop() { p.host.lab.t.Helper(); p.Signal(syscall.SIGSTOP) }

// Continue lets a stopped process go on.
func (p *Process) Continue() { p.host.lab.t.Helper(); p.Signal(syscall.SIGCONT) }

// Stdout is what the process wrote to stdout so far, if that goes to a file.
func (p *Process) Stdout() string { return readSoFar(p.stdout) }

// Stderr is what the process wrote to stderr so far, if that goes to a file.
func (p *Process) Stderr() string { return readSoFar(p.stderr) }

func readSoFar(path string) string {
	if path == "" {
		return ""
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(content)
}
