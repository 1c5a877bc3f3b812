package devring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/arc-ring/arc/client"
)

// Node is one machine's place: a coordinator, its monitor, their directories.
type Node struct {
	ring  *Ring
	index int
	name  string
	dir   string
	arc   string // the program of the next start

	proc atomic.Pointer[proc] // the newest
}

// proc is one running coordinator.
type proc struct {
	cmd     *exec.Cmd
	client  *client.Client
	exited  chan struct{}
	stopped atomic.Bool // by SIGSTOP
}

// Name returns the node's name in the ring.
func (n *Node) Name() string { return n.name }

// DataDir returns the coordinator's data directory.
func (n *Node) DataDir() string { return filepath.Join(n.dir, "data") }

// RunDir returns the coordinator's run directory.
func (n *Node) RunDir() string { return filepath.Join(n.dir, "run") }

// LogFile returns the path of what both processes log.
func (n *Node) LogFile() string { return filepath.Join(n.dir, "log") }

// Addr returns the address of the coordinator's unix socket.
func (n *Node) Addr() string { return client.SocketAddr(n.RunDir()) }

// Args returns the arguments that Start gives to arc.
func (n *Node) Args() []string {
	o := n.ring.opts
	args := []string{
		"coordinator", "--name", n.name, "--cluster", o.Cluster,
		"--bind", n.ring.ip(n.index), "--port", strconv.Itoa(n.ring.port),
		"--data-dir", n.DataDir(), "--run-dir", n.RunDir(),
		"--interface", "lo", "--discovery-port", strconv.Itoa(n.ring.udpPort),
	}
	switch {
	case n.index > o.Nodes: // added later
	case o.Nodes == 1:
		args = append(args, "--bootstrap")
	default:
		args = append(args, "--expect", strconv.Itoa(o.Nodes))
	}
	if !o.Clear {
		args = append(args, "--secret-file", n.ring.SecretFile())
	}
	if o.Profile != "" {
		args = append(args, "--profile", o.Profile)
	}
	if o.LogLevel != "" {
		args = append(args, "--log-level", o.LogLevel)
	}
	if o.Args != nil {
		args = append(args, o.Args(n.index)...)
	}
	return args
}

// Start starts the coordinator, with more arguments behind the usual ones. It
// does not wait until anything answers.
func (n *Node) Start(more ...string) error {
	if n.Running() {
		return fmt.Errorf("%s: coordinator is running", n.name)
	}
	logFile, err := os.OpenFile(n.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log of %s: %w", n.name, err)
	}
	defer func() { _ = logFile.Close() }() // the child has its own
	c, err := client.New(n.Addr())
	if err != nil {
		return err
	}
	cmd := exec.Command(n.arc, append(n.Args(), more...)...)
	cmd.Dir = n.dir
	cmd.Env = cleanEnv()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	// Its own process group: a terminal's Ctrl-C is for us alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := n.ring.spawn(cmd); err != nil {
		_ = c.Close()
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &proc{cmd: cmd, client: c, exited: make(chan struct{})}
	n.proc.Store(p)
	var watch sync.WaitGroup
	watch.Go(func() { n.ring.Follow(ctx, n.name, n.Addr()) })
	go func() {
		_ = cmd.Wait() // its state says how it ended
		if pid, err := n.MonitorPID(); err == nil {
			n.ring.reap(pid)
		}
		cancel()
		watch.Wait()
		_ = c.Close()
		close(p.exited)
	}()
	return nil
}

// cleanEnv is our environment without ARC's own variables.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "ARC_") })
}

// running returns the coordinator that runs.
func (n *Node) running() (*proc, error) {
	if p := n.proc.Load(); p != nil {
		select {
		case <-p.exited:
		default:
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s: coordinator is not running", n.name)
}

// Running reports whether the coordinator's process exists.
func (n *Node) Running() bool {
	_, err := n.running()
	return err == nil
}

// Stopped reports whether the coordinator's process is stopped, as by SIGSTOP.
func (n *Node) Stopped() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.PID()))
	// The name in brackets, which may hold anything, is before the state.
	state := stat[bytes.LastIndexByte(stat, ')')+1:]
	return err == nil && bytes.HasPrefix(state, []byte(" T"))
}

// Ended returns how the newest coordinator's process ended, such as "signal:
// killed"; "" if it runs or none was started.
func (n *Node) Ended() string {
	if p := n.proc.Load(); p != nil && !n.Running() {
		return p.cmd.ProcessState.String()
	}
	return ""
}

// PID returns the coordinator's, 0 if it does not run.
func (n *Node) PID() int {
	p, err := n.running()
	if err != nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// MonitorPID returns the monitor's, as its pid file says.
func (n *Node) MonitorPID() (int, error) {
	return readPID(n.monitorPIDFile())
}

func (n *Node) monitorPIDFile() string { return filepath.Join(n.RunDir(), "monitor.pid") }

// Client returns a client of the running coordinator.
func (n *Node) Client() (*client.Client, error) {
	p, err := n.running()
	if err != nil {
		return nil, err
	}
	return p.client, nil
}

// Kill is kill -9 of the coordinator alone, whose monitor lives to certify it.
// It returns when the process is gone.
func (n *Node) Kill() error {
	if err := n.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	return n.Wait(ctx)
}

// Signal sends a signal to the coordinator.
func (n *Node) Signal(sig os.Signal) error {
	p, err := n.running()
	if err != nil {
		return err
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("send %v to %s: %w", sig, n.name, err)
	}
	if sig == syscall.SIGSTOP || sig == syscall.SIGCONT {
		p.stopped.Store(sig == syscall.SIGSTOP)
	}
	return nil
}

// Wait waits until the coordinator has exited.
func (n *Node) Wait(ctx context.Context) error {
	p := n.proc.Load()
	if p == nil {
		return nil
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s (pid %d) is still running: %w", n.name, p.cmd.Process.Pid, ctx.Err())
	}
}

// LogTail returns the last lines of the log, at most max bytes.
func (n *Node) LogTail(max int) string {
	text, err := os.ReadFile(n.LogFile())
	if err != nil {
		return err.Error()
	}
	if from := len(text) - max; from > 0 {
		text = text[from:]
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	return string(text)
}
