package sockio

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/mem"
)

// Conn is a TCP or unix connection. Make one with New.
type Conn struct {
	net.Conn
	raw     syscall.RawConn
	written atomic.Uint64

	in  in
	out out
}

// in is the state of one read; its fields are not on the stack of Read since
// the poller takes a function that would carry them to the heap each time.
type in struct {
	mu   sync.Mutex
	call func(fd uintptr) bool
	into []byte
	n    int
	err  error

	// Of ReadOnReady alone: into is taken from pool when there is something to
	// read.
	pool mem.BufferPool
	size int
	buf  *[]byte
}

type out struct {
	mu   sync.Mutex
	call func(fd uintptr) bool
	from []byte
	n    int
	err  error
}

// New returns a Conn over c if that is a plain TCP or unix connection, and c
// itself if it is not.
func New(c net.Conn) net.Conn {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return c
	}
	raw, _ := c.(syscall.Conn).SyscallConn() // fails only for a nil pointer
	n := &Conn{Conn: c, raw: raw}
	n.in.call, n.out.call = n.read, n.write
	return n
}

// SyscallConn gives access to the socket, as that of the connection below.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// Unread reports whether bytes have come that this process has not read yet.
func (c *Conn) Unread() bool {
	waiting := 0
	// Errors say that the connection is closed: nothing is read there any more.
	_ = c.raw.Control(func(fd uintptr) { waiting, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return waiting > 0
}

// Written returns how many bytes were handed to the kernel so far.
func (c *Conn) Written() uint64 { return c.written.Load() }

// Read is net.Conn's.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.into = p
	_, n, err := c.readLocked()
	return n, err
}

// ReadOnReady is what gRPC prefers: as Read, but the buffer of size bytes is
// taken from the pool only once there is something to read. After an error
// nothing is taken.
func (c *Conn) ReadOnReady(size int, pool mem.BufferPool) (buf *[]byte, n int, err error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.pool, c.in.size = pool, size
	return c.readLocked()
}

func (c *Conn) readLocked() (buf *[]byte, n int, err error) {
	i := &c.in
	if err = c.raw.Read(i.call); err == nil {
		err = i.err // the call has set it
	}
	buf, n = i.buf, i.n
	if err == nil && n == 0 {
		err = io.EOF
	}
	i.into, i.n, i.err, i.pool, i.buf = nil, 0, nil, nil, nil
	return buf, n, err
}

// read tries once; false waits until there is something.
func (c *Conn) read(fd uintptr) bool {
	i := &c.in
	for {
		into := i.into
		if i.pool != nil {
			i.buf = i.pool.Get(i.size)
			into = *i.buf
		}
		n, errno := sysRead(fd, into)
		if n <= 0 && i.buf != nil {
			i.pool.Put(i.buf)
			i.buf = nil
		}
		switch errno {
		case 0:
			i.n = n
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			i.err = c.wrap("read", errno)
			return true
		}
	}
}

// Write is net.Conn's.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.from, o.n, o.err = p, 0, nil
	err := c.raw.Write(o.call)
	if err == nil {
		err = o.err // the call has set it
	}
	o.from = nil
	c.written.Add(uint64(o.n))
	return o.n, err
}

// write goes on until everything is written; false waits until there is room.
func (c *Conn) write(fd uintptr) bool {
	o := &c.out
	for o.n < len(o.from) {
		n, errno := sysWrite(fd, o.from[o.n:])
		switch errno {
		case 0:
			o.n += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			o.err = c.wrap("write", errno)
			return true
		}
	}
	return true
}

func (c *Conn) wrap(op string, err error) error {
	local := c.LocalAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}
