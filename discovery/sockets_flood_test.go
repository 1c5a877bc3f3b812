package discovery

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
)

// Who is never out of datagrams leaves the processor to others all the same.
func TestAFloodIsReadAtABearablePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
		if err != nil {
			t.Fatal(err)
		}
		far, err := net.Dial("udp4", c.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		const batches = 5
		flood := batches*limits.DatagramsAtOnce + 1
		for range flood {
			if _, err := far.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		k := &sockets{conns: []*net.UDPConn{c}}
		k.allowed.Store(&map[int]bool{0: true})
		since, n := time.Now(), 0
		k.receive(func([]byte, netip.AddrPort, bool) {
			if n++; n == flood {
				_ = c.Close()
			}
		})
		if took, want := time.Since(since), batches*durations.DatagramsPause; took != want {
			t.Errorf("%d datagrams took %v, want %v", n, took, want)
		}
	})
}
