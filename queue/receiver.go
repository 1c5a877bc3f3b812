package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/limits"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

// Receiver is the monitor's side.
type Receiver struct {
	file   *os.File
	conn   syscall.RawConn
	buffer []byte
	closed atomic.Bool
}

// Inherited takes over the descriptor that the coordinator left. It returns an
// error that wraps ErrNoQueue if that is no queue.
func Inherited(fd uintptr) (*Receiver, error) {
	for _, want := range []struct {
		name   string
		option int
		value  int
	}{{"SO_DOMAIN", unix.SO_DOMAIN, unix.AF_UNIX}, {"SO_TYPE", unix.SO_TYPE, unix.SOCK_SEQPACKET}} {
		got, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, want.option)
		if err != nil {
			return nil, fmt.Errorf("descriptor %d: %w: %w", fd, err, ErrNoQueue)
		}
		if got != want.value {
			return nil, fmt.Errorf("descriptor %d: %s is %d, want %d: %w", fd, want.name, got, want.value, ErrNoQueue)
		}
	}
	unix.CloseOnExec(int(fd))
	if err := unix.SetNonblock(int(fd), true); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w: %w", fd, err, ErrNoQueue)
	}
	file := os.NewFile(fd, "queue")
	conn, _ := file.SyscallConn() // fails only without a file
	return &Receiver{file: file, conn: conn, buffer: make([]byte, limits.QueueMessage)}, nil
}

// Receive waits for the next link. It returns io.EOF when the coordinator is
// gone or closed its side, ErrClosed after Close, and an error that wraps
// ErrBadLink or ErrTooLarge for a message that is no link; only after the
// last two it may be called again.
func (r *Receiver) Receive() (*localv1.Link, error) {
	var n, flags int
	var failed error
	err := r.conn.Read(func(fd uintptr) bool {
		for {
			n, _, flags, _, failed = unix.Recvmsg(int(fd), r.buffer, nil, unix.MSG_DONTWAIT)
			if !errors.Is(failed, unix.EINTR) {
				return !errors.Is(failed, unix.EAGAIN)
			}
		}
	})
	switch {
	case err != nil && r.closed.Load():
		return nil, ErrClosed
	case err != nil:
		return nil, fmt.Errorf("read from the queue: %w", err)
	case errors.Is(failed, unix.ECONNRESET):
		return nil, io.EOF
	case failed != nil:
		return nil, fmt.Errorf("read from the queue: %w", failed)
	case n == 0:
		// No link is empty, so this is the end.
		return nil, io.EOF
	case flags&unix.MSG_TRUNC != 0:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limits.QueueMessage)
	}
	return Decode(r.buffer[:n])
}

// Close closes the monitor's side and ends a Receive that waits.
func (r *Receiver) Close() error {
	r.closed.Store(true)
	return r.file.Close()
}
