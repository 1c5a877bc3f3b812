package transport

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/election"
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

func TestHealsAfterPull(t *testing.T) {
	for _, outage := range []time.Duration{30 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, time.Second, 2300 * time.Millisecond} {
		t.Run(outage.String(), func(t *testing.T) {
			lab := netlab.New(t, netlab.Options{Hosts: 2})
			a, b := labNode(t, lab.Host(1), 1), labNode(t, lab.Host(2), 2)
			connect(a, b)
			await(t, "a's stream", a.up)
			await(t, "b's stream", b.up)
			for r := range 6 {
				time.Sleep(300 * time.Millisecond)
				base := uint64(r+1) * 1000
				lab.Cut(lab.Host(1), lab.Host(2))
				a.tr.Send(renew(1, 2, base))
				b.tr.Send(renew(2, 1, base))
				time.Sleep(outage)
				lab.Mend(lab.Host(1), lab.Host(2))
				healed := time.Now()
				got := awaitThat(t, "message after the heal", b.got, func(m election.Message) bool { return m.Renew.Seq >= base })
				t.Logf("outage %v: message %d arrived %v after the heal", outage, got.Renew.Seq, time.Since(healed))
			}
		})
	}
}
