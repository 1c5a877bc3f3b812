package devring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/observe"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// What tests do to nodes, and ask of them, beyond what `arc dev` does.

// AwaitLeader waits until all running nodes name the same leader and it
// claims, and returns the leader's own status.
func (r *Ring) AwaitLeader(ctx context.Context) (*arcv1.StatusResponse, error) {
	var st *arcv1.StatusResponse
	err := r.Until(ctx, "a leader", func(ctx context.Context) (err error) {
		st, err = r.judge(ctx, observe.Leader)
		return err
	})
	return st, err
}

// Index returns the node's number, from 1.
func (n *Node) Index() int { return n.index }

// TCPAddr returns host:port of the coordinator.
func (n *Node) TCPAddr() string { return n.ring.ip(n.index) + ":" + strconv.Itoa(n.ring.port) }

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
func (n *Node) Stop() error { return n.Signal(syscall.SIGSTOP) }

// Cont ends Stop.
func (n *Node) Cont() error { return n.Signal(syscall.SIGCONT) }

// ExitCode returns how the newest coordinator ended: -1 for a signal or while
// it runs.
func (n *Node) ExitCode() int {
	p := n.proc.Load()
	if p == nil || n.Running() {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// Wipe removes the data directory, as a lost disk would.
func (n *Node) Wipe() error {
	if n.Running() {
		return fmt.Errorf("%s: coordinator is running", n.name)
	}
	if err := os.RemoveAll(n.DataDir()); err != nil {
		return err
	}
	return os.MkdirAll(n.DataDir(), 0o700)
}

// Hang stops the leader with SIGSTOP and waits for the next claim.
func (r *Ring) Hang(ctx context.Context, before *arcv1.StatusResponse) (Failover, error) {
	old := r.Named(before.GetLeader().GetName())
	return r.failover(ctx, before, old.Stop)
}

func exists(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
