package monitor

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is the own coordinator's. A pidfd means that very process, however
// soon its pid is given to another.
type process struct {
	pid  int
	file *os.File // nil if it had ended before we could look
	conn syscall.RawConn
	// memory is the kernel's word on how much memory the process has; nil if
	// it cannot be had.
	memory *os.File
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
	conn, _ := file.SyscallConn() // fails only without a file
	p := &process{pid: pid, file: file, conn: conn}
	// Without /proc the end is only seen a little later.
	if p.memory, err = os.Open(fmt.Sprintf("/proc/%d/statm", pid)); err == nil && p.gone() {
		// It may be of another one that got the pid.
		_ = p.memory.Close()
		p.memory = nil
	}
	return p, nil
}

// wait returns nil when the process has ended, and an error after close.
func (p *process) wait() error {
	if p.file == nil {
		return nil
	}
	return p.conn.Read(ended)
}

// gone reports whether the process has ended.
func (p *process) gone() bool {
	if p.file == nil {
		return true
	}
	gone := false
	err := p.conn.Control(func(fd uintptr) { gone = ended(fd) })
	return err == nil && gone
}

// ending tells, once the queue has ended, whether that is because the process
// is being taken down. The kernel tells of the end itself, by the pidfd, only
// after it has closed everything, which takes milliseconds when there are many
// connections and all who hold their other ends wake up meanwhile.
//
// It first takes the memory from each thread, and then the open files; what is
// open is closed when the last thread has let go of it. So if the memory is
// gone and something that the process had open was closed, no thread of it runs
// a single instruction of the program any more. That it closed the queue by
// itself, and lives, shows by the memory that it still has.
func (p *process) ending() bool {
	if p.gone() {
		return true
	}
	if p.memory == nil {
		return false
	}
	var text [64]byte
	n, err := p.memory.ReadAt(text[:], 0)
	if n == 0 {
		return errors.Is(err, unix.ESRCH)
	}
	size, _, _ := strings.Cut(string(text[:n]), " ")
	return size == "0"
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
	if err = cmp.Or(err, failed); err == nil || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return fmt.Errorf("kill -KILL %d: %w", p.pid, err)
}

func (p *process) close() {
	for _, f := range []*os.File{p.file, p.memory} {
		if f != nil {
			_ = f.Close() // nothing was written, so there is nothing to lose
		}
	}
}
