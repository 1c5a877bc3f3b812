package monitor

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is the own coordinator's. A pidfd means that very process, however
// soon its pid is given to another.
type process struct {
	pid  int
	file *os.File // nil if it had ended before we could look
	conn syscall.RawConn
}

func openProcess(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return &process{pid: pid}, nil
	}
	if err == nil {
		// Only then the runtime's poller takes it.
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, fmt.Errorf("watch the coordinator, process %d: pidfd_open: %w", pid, err)
	}
	file := os.NewFile(uintptr(fd), "coordinator")
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch the coordinator, process %d: %w", pid, err), file.Close())
	}
	return &process{pid, file, conn}, nil
}

// wait returns nil when the process has ended, and an error after close.
func (p *process) wait() error {
	if p.file == nil {
		return nil
	}
	return p.conn.Read(ended)
}

// gone tells whether the process has ended.
func (p *process) gone() bool {
	if p.file == nil {
		return true
	}
	gone := false
	err := p.conn.Control(func(fd uintptr) { gone = ended(fd) })
	return err == nil && gone
}

func ended(fd uintptr) bool {
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			// Nothing but readable means ended: a certificate rests on it.
			return err == nil && n > 0 && fds[0].Revents&unix.POLLIN != 0
		}
	}
}

func (p *process) kill() error {
	if p.file == nil {
		return nil
	}
	var failed error
	err := p.conn.Control(func(fd uintptr) { failed = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) })
	if err == nil {
		err = failed
	}
	if err == nil || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return fmt.Errorf("kill -KILL %d: %w", p.pid, err)
}

func (p *process) close() {
	if p.file != nil {
		// Nothing was written: there is nothing to lose.
		_ = p.file.Close()
	}
}
