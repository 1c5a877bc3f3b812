package devring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

	mu   sync.Mutex
	proc *proc
}

// proc is one running coordinator.
type proc struct {
	cmd     *exec.Cmd
	client  *client.Client
	cancel  context.CancelFunc // ends the watcher
	exited  chan struct{}
	err     error // of Wait, after exited
	stopped atomic.Bool
}

var (
	// ErrNotRunning: the node's coordinator does not run.
	ErrNotRunning = errors.New("coordinator is not running")
	// ErrRunning: the node's coordinator runs already.
	ErrRunning = errors.New("coordinator is running")
)

// Name returns the node's name in the ring.
func (n *Node) Name() string { return n.name }

// Index returns the node's number, from 1.
func (n *Node) Index() int { return n.index }

// Dir returns the node's directory.
func (n *Node) Dir() string { return n.dir }

// DataDir returns the coordinator's data directory.
func (n *Node) DataDir() string { return filepath.Join(n.dir, "data") }

// RunDir returns the coordinator's run directory.
func (n *Node) RunDir() string { return filepath.Join(n.dir, "run") }

// LogFile returns the path of what both processes log.
func (n *Node) LogFile() string { return filepath.Join(n.dir, "log") }

// Addr returns the address of the coordinator's unix socket.
func (n *Node) Addr() string { return client.SocketAddr(n.RunDir()) }

// TCPAddr returns host:port of the coordinator.
func (n *Node) TCPAddr() string { return n.ring.ip(n.index) + ":" + strconv.Itoa(n.ring.port) }

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
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.runningLocked() {
		return fmt.Errorf("%s: %w", n.name, ErrRunning)
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
	cmd := exec.Command(n.ring.opts.Arc, append(n.Args(), more...)...)
	cmd.Dir = n.dir
	cmd.Env = cleanEnv()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	// Its own process group: a terminal's Ctrl-C is for us alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := n.ring.spawner.do(cmd.Start); err != nil {
		_ = c.Close()
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &proc{cmd: cmd, client: c, cancel: cancel, exited: make(chan struct{})}
	n.proc = p
	watched := n.ring.Follow(ctx, n.name, n.Addr())
	go func() {
		p.err = cmd.Wait()
		if pid, err := readPID(n.monitorPIDFile()); err == nil {
			n.ring.orphans.add(pid)
		}
		cancel()
		<-watched
		_ = c.Close()
		close(p.exited)
	}()
	return nil
}

// cleanEnv is our environment without ARC's own variables.
func cleanEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "ARC_") {
			env = append(env, kv)
		}
	}
	return env
}

// Running reports whether the coordinator's process exists.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.runningLocked()
}

func (n *Node) runningLocked() bool {
	if n.proc == nil {
		return false
	}
	select {
	case <-n.proc.exited:
		return false
	default:
		return true
	}
}

// Stopped reports whether Stop was called, and Cont not since.
func (n *Node) Stopped() bool {
	p := n.current()
	return p != nil && p.stopped.Load()
}

// PID returns the coordinator's, 0 if it does not run.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return 0
	}
	return n.proc.cmd.Process.Pid
}

// MonitorPID returns the monitor's, as its pid file says.
func (n *Node) MonitorPID() (int, error) {
	pid, err := readPID(n.monitorPIDFile())
	if err != nil {
		return 0, fmt.Errorf("monitor of %s: %w", n.name, err)
	}
	return pid, nil
}

func (n *Node) monitorPIDFile() string { return filepath.Join(n.RunDir(), "monitor.pid") }

// Client returns a client of the running coordinator.
func (n *Node) Client() (*client.Client, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return nil, fmt.Errorf("%s: %w", n.name, ErrNotRunning)
	}
	return n.proc.client, nil
}

// Kill is kill -9 of the coordinator alone, whose monitor lives to certify it.
// It returns when the process is gone.
func (n *Node) Kill() error { return n.end(syscall.SIGKILL) }

// Terminate is SIGTERM, an orderly end; it waits until the process is gone or
// ctx ends.
func (n *Node) Terminate(ctx context.Context) error {
	if err := n.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return n.Wait(ctx)
}

// PowerOff kills monitor and coordinator: nobody is left to certify.
func (n *Node) PowerOff() error {
	if err := n.KillMonitor(); err != nil {
		return err
	}
	return n.Kill()
}

// KillMonitor is kill -9 of the monitor alone.
func (n *Node) KillMonitor() error { return n.SignalMonitor(syscall.SIGKILL) }

// SignalMonitor sends a signal to the monitor.
func (n *Node) SignalMonitor(sig os.Signal) error {
	pid, err := n.MonitorPID()
	if err != nil {
		return err
	}
	if err := signalBelow(pid, n.dir, sig); err != nil {
		return fmt.Errorf("signal monitor %d of %s: %w", pid, n.name, err)
	}
	return nil
}

// Stop is SIGSTOP of the coordinator alone: it hangs, its sockets stay.
func (n *Node) Stop() error { return n.setStopped(syscall.SIGSTOP, true) }

// Cont ends Stop.
func (n *Node) Cont() error { return n.setStopped(syscall.SIGCONT, false) }

func (n *Node) setStopped(sig os.Signal, stopped bool) error {
	p := n.current()
	if p == nil {
		return fmt.Errorf("%s: %w", n.name, ErrNotRunning)
	}
	if err := n.Signal(sig); err != nil {
		return err
	}
	p.stopped.Store(stopped)
	return nil
}

// Signal sends a signal to the coordinator.
func (n *Node) Signal(sig os.Signal) error {
	p := n.current()
	if p == nil {
		return fmt.Errorf("%s: %w", n.name, ErrNotRunning)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("send %v to %s: %w", sig, n.name, err)
	}
	return nil
}

// Wait waits until the coordinator has exited.
func (n *Node) Wait(ctx context.Context) error {
	n.mu.Lock()
	p := n.proc
	n.mu.Unlock()
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

// ExitCode returns how the newest coordinator ended: -1 for a signal or while
// it runs.
func (n *Node) ExitCode() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil || n.runningLocked() {
		return -1
	}
	return n.proc.cmd.ProcessState.ExitCode()
}

// Wipe removes the data directory, as a lost disk would.
func (n *Node) Wipe() error {
	if n.Running() {
		return fmt.Errorf("%s: %w", n.name, ErrRunning)
	}
	if err := os.RemoveAll(n.DataDir()); err != nil {
		return err
	}
	return os.MkdirAll(n.DataDir(), 0o700)
}

func (n *Node) current() *proc {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return nil
	}
	return n.proc
}

func (n *Node) end(sig os.Signal) error {
	if err := n.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	return n.Wait(ctx)
}

// LogTail returns the last lines of the log, at most max bytes.
func (n *Node) LogTail(max int64) string {
	f, err := os.Open(n.LogFile())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	from := info.Size() - max
	if from < 0 {
		from, max = 0, info.Size()
	}
	buf := make([]byte, max)
	k, _ := f.ReadAt(buf, from) // a short read is the end of the file
	text := string(buf[:k])
	if from > 0 {
		if _, rest, ok := strings.Cut(text, "\n"); ok {
			text = rest
		}
	}
	return text
}
