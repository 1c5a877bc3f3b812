package transport

import (
	"context"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/connect"
)

// cable joins the sockets of all nodes that use it. While it is pulled the
// kernel drops every segment that arrives at one of them, as if it had been lost
// on the way: neither side sees anything but silence.
type cable struct {
	mu      sync.Mutex
	pulled  bool
	sockets []syscall.RawConn
}

func (c *cable) use(s syscall.RawConn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets = append(c.sockets, s)
	if c.pulled {
		return drop(s, true)
	}
	return nil
}

func (c *cable) pull(pulled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = pulled
	for _, s := range c.sockets {
		_ = drop(s, pulled) // a closed one
	}
}

// renew lays a new cable for new sockets. Those of before stay cut off.
func (c *cable) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		_ = s.Control(func(fd uintptr) { // it fails if the socket is closed
			if listens, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN); listens == 1 {
				_ = drop(s, false)
			}
		})
	}
	c.pulled, c.sockets = false, nil
}

// drop has the kernel drop what arrives at a socket, or no longer.
func drop(s syscall.RawConn, on bool) (err error) {
	keepNothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	failed := s.Control(func(fd uintptr) {
		if on {
			err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &keepNothing})
		} else {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		}
	})
	if failed != nil {
		return failed
	}
	return err
}

func (c *cable) control(_, _ string, s syscall.RawConn) error { return c.use(s) }

// plugged is a listener at the cable.
type plugged struct {
	net.Listener
	cable *cable
}

func (p plugged) Accept() (net.Conn, error) {
	conn, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	return conn, p.cable.use(s)
}

// start makes a node whose sockets are all at the cable.
func (c *cable) start(t *testing.T, id uint64) *node {
	t.Helper()
	dialler := net.Dialer{Control: c.control}
	opts := Options{Dialer: &connect.Dialer{Raw: func(ctx context.Context, _, addr string) (net.Conn, error) {
		return dialler.DialContext(ctx, "tcp", addr)
	}}}
	return startOn(t, id, opts, func() (net.Listener, error) {
		config := net.ListenConfig{Control: c.control}
		l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
		return plugged{l, c}, err
	})
}

// pair makes two nodes at one cable that have streams to each other.
func pair(t *testing.T) (c *cable, a, b *node) {
	t.Helper()
	c = &cable{}
	a, b = c.start(t, 1), c.start(t, 2)
	introduce(a, b)
	await(t, "a's stream", a.up)
	await(t, "b's stream", b.up)
	return c, a, b
}

// What was sent into a dead cable, and is still young, arrives soon after the
// cable is back; how soon is logged.
func TestHealsAfterPull(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: waits for outages of up to 1.5 s and for what heals after them")
	}
	for _, outage := range []time.Duration{30 * time.Millisecond, 300 * time.Millisecond, 1500 * time.Millisecond} {
		t.Run(outage.String(), func(t *testing.T) {
			c, a, b := pair(t)
			c.pull(true)
			a.tr.Send(renew(1, 2, 1))
			b.tr.Send(renew(2, 1, 1))
			select {
			case <-time.After(outage):
			case <-a.got:
				t.Error("a message came through a pulled cable")
			case <-b.got:
				t.Error("a message came through a pulled cable")
			}
			c.pull(false)
			healed := time.Now()
			await(t, "message to b", b.got)
			toB := time.Since(healed)
			await(t, "message to a", a.got)
			t.Logf("after an outage of %v it took %v there and %v back", outage, toB, time.Since(healed))
		})
	}
}

// A fresh stream takes over all that the stuck one has not taken yet, however much
// that is: the peer was never down.
func TestAFreshStreamTakesOverTheQueue(t *testing.T) {
	c, a, b := pair(t)
	c.pull(true)
	// Some of them fit into what is between the two, and may be lost with the stream.
	const n, size = 1000, 16 << 10
	for i := uint64(1); i <= n; i++ {
		a.tr.Send(bulk(1, 2, i, size))
	}
	c.renew()
	await(t, "a fresh stream", a.up)
	first := await(t, "what was queued", b.got).Raft.GetIndex()
	for m := first; m < n-1; m = await(t, "the last message", b.got).Raft.GetIndex() {
	}
	if first > n-2*queueMessagesDown {
		t.Errorf("%d of %d messages were kept for the fresh stream", n-first, n)
	}
}
