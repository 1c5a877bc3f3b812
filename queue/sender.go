package queue

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/limits"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

// Sender is the coordinator's side.
type Sender struct {
	file *os.File
	conn syscall.RawConn

	mu  sync.Mutex
	seq uint64
	// kept is the newest link that found no room, and message what is sent of it. A
	// flusher waits for room as long as there is one.
	kept     *localv1.Link
	message  []byte
	err      error // why no further link is taken
	flushers sync.WaitGroup
}

// New makes a queue. The file is the monitor's side: start the monitor with it
// as its descriptor 3 (exec.Cmd.ExtraFiles) and close it then.
func New() (*Sender, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make the monitor's queue: socketpair: %w", err)
	}
	file := os.NewFile(uintptr(fds[0]), "queue")
	peer := os.NewFile(uintptr(fds[1]), "queue of the monitor")
	conn, _ := file.SyscallConn() // fails only without a file
	return &Sender{file: file, conn: conn}, peer, nil
}

// Send queues a copy of the link, with the queue's next Seq and the nearest
// limits.Successors. It never waits: see the package for what becomes of links
// when there is no room. It returns ErrClosed when the monitor is gone, and an
// error that wraps ErrBadLink or ErrTooLarge for a link that no monitor would
// take.
func (s *Sender) Send(link *localv1.Link) error {
	l := proto.CloneOf(link)
	if len(l.Successors) > limits.Successors {
		l.Successors = l.Successors[:limits.Successors]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	l.Seq = s.seq + 1
	l.Redial = l.Redial || s.kept.GetRedial()
	message, err := encode(l)
	if err != nil {
		return fmt.Errorf("send link of epoch %d: %w", l.Epoch, err)
	}
	s.seq++
	if s.kept != nil {
		s.kept, s.message = l, message
		return nil
	}
	var written bool
	var failed error
	err = s.conn.Control(func(fd uintptr) { written, failed = write(fd, message) })
	err = errors.Join(err, failed)
	switch {
	case errors.Is(err, ErrClosed):
		s.err = err
		return err
	case err != nil:
		return fmt.Errorf("send link of epoch %d: %w", l.Epoch, err)
	case written:
		return nil
	}
	s.kept, s.message = l, message
	s.flushers.Go(s.flush)
	return nil
}

// flush hands the kept link in as soon as there is room.
func (s *Sender) flush() {
	err := s.conn.Write(func(fd uintptr) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err != nil {
			return true
		}
		var written bool
		if written, s.err = write(fd, s.message); !written && s.err == nil {
			return false
		}
		s.kept, s.message = nil, nil
		return true
	})
	if err != nil { // Close has closed the file
		s.mu.Lock()
		s.err = cmp.Or(s.err, ErrClosed)
		s.mu.Unlock()
	}
}

// write reports whether there was room.
func write(fd uintptr, message []byte) (bool, error) {
	for {
		err := unix.Send(int(fd), message, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOBUFS):
			return false, nil
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.ENOTCONN):
			return false, fmt.Errorf("%w: the monitor is gone", ErrClosed)
		case errors.Is(err, unix.EMSGSIZE):
			return false, fmt.Errorf("%w: %d bytes are more than the socket buffer (net.core.wmem_default) takes", ErrTooLarge, len(message))
		default:
			return false, fmt.Errorf("write to the monitor's queue: %w", err)
		}
	}
}

// Close closes the coordinator's side: the monitor gets what was queued, then
// the end. A link that found no room is lost. Closing twice is harmless.
func (s *Sender) Close() error {
	defer s.flushers.Wait()
	s.mu.Lock()
	s.err = cmp.Or(s.err, ErrClosed)
	s.mu.Unlock()
	if err := s.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
