package queue

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/limits"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

// Receiver is the monitor's side.
type Receiver struct {
	conn   *net.UnixConn
	buffer []byte
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
	file := os.NewFile(fd, "queue")
	defer file.Close()
	conn, err := net.FileConn(file) // a copy, which no child inherits
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w: %w", fd, err, ErrNoQueue)
	}
	return &Receiver{conn: conn.(*net.UnixConn), buffer: make([]byte, limits.QueueMessage)}, nil
}

// Receive waits for the next link. It returns io.EOF when the coordinator is
// gone or closed its side, ErrClosed after Close, and an error that wraps
// ErrBadLink or ErrTooLarge for a message that is no link; only after the
// last two it may be called again.
func (r *Receiver) Receive() (*localv1.Link, error) {
	n, _, flags, _, err := r.conn.ReadMsgUnix(r.buffer, nil)
	switch {
	case errors.Is(err, net.ErrClosed):
		return nil, ErrClosed
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
		return nil, io.EOF // no link is empty, so an empty message is the end
	case err != nil:
		return nil, fmt.Errorf("read from the queue: %w", err)
	case flags&unix.MSG_TRUNC != 0:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limits.QueueMessage)
	}
	return Decode(r.buffer[:n])
}

// Close closes the monitor's side and ends a Receive that waits.
func (r *Receiver) Close() error { return r.conn.Close() }
