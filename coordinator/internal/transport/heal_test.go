package transport

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/netlab"
)

// labNode makes a node whose sockets are on a host of the lab.
func labNode(t *testing.T, h *netlab.Host, id uint64) *node {
	t.Helper()
	space := netns.None()
	err := h.Do(func() error {
		// A socket knows its namespace, also where there is no /proc to ask.
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		n, err := unix.IoctlRetInt(fd, unix.SIOCGSKNS)
		space = netns.NsHandle(n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = space.Close() })
	opts := Options{DialContext: func(ctx context.Context, addr string) (c net.Conn, err error) {
		// Each try on a thread of its own: a connect may take long.
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // ends with this goroutine
			if err = netns.Set(space); err == nil {
				c, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			}
		}()
		<-done
		return c, err
	}}
	return startOn(t, id, opts, func() (l net.Listener, err error) {
		err = h.Do(func() (err error) {
			l, err = net.Listen("tcp", net.JoinHostPort(h.Addr(0).String(), "7400"))
			return err
		})
		return l, err
	})
}

// What was sent into a dead cable, and is still young, arrives soon after the
// cable is back; how soon is logged.
func TestHealsAfterPull(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: waits for outages of up to 1.5 s and for what heals after them")
	}
	for _, outage := range []time.Duration{30 * time.Millisecond, 300 * time.Millisecond, 1500 * time.Millisecond} {
		t.Run(outage.String(), func(t *testing.T) {
			lab := netlab.New(t, netlab.Options{Hosts: 2})
			a, b := labNode(t, lab.Host(1), 1), labNode(t, lab.Host(2), 2)
			connect(a, b)
			await(t, "a's stream", a.up)
			await(t, "b's stream", b.up)
			lab.Cut(lab.Host(1), lab.Host(2))
			a.tr.Send(renew(1, 2, 1))
			b.tr.Send(renew(2, 1, 1))
			time.Sleep(outage) // the outage itself; nothing is asserted about it
			lab.Mend(lab.Host(1), lab.Host(2))
			healed := time.Now()
			await(t, "message to b", b.got)
			toB := time.Since(healed)
			await(t, "message to a", a.got)
			t.Logf("after an outage of %v it took %v there and %v back", outage, toB, time.Since(healed))
		})
	}
}
