package service

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/testwait"
)

// pacedDoor is one whose ring has a member at 10.0.0.1, and that is at 10.0.0.9.
func pacedDoor() *door {
	members := map[netip.Addr]bool{netip.MustParseAddr("10.0.0.1"): true}
	return newDoor(hclog.NewNullLogger(), budgetsFor(1<<16), func() map[netip.Addr]bool { return members },
		func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.9") })
}

// admitted is how many of so many connections of a machine are let in at once.
func admitted(d *door, host string, n int) (in int) {
	for range n {
		if d.admits(netip.MustParseAddr(host)) {
			in++
		}
	}
	return in
}

// Connections of strangers begin at a bearable pace, and keep no member's machine out.
func TestConnectionsBeginAtABearablePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := pacedDoor()
		if got := admitted(d, "10.0.0.2", limits.HostPerSecond+1); got != limits.HostPerSecond {
			t.Errorf("%d of one stranger's machine, want %d", got, limits.HostPerSecond)
		}
		all := limits.HostPerSecond
		for _, host := range []string{"10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"} {
			all += admitted(d, host, limits.HostPerSecond)
		}
		if all != limits.StrangersPerSecond {
			t.Errorf("%d of all strangers' machines, want %d", all, limits.StrangersPerSecond)
		}
		if got := admitted(d, "10.0.0.1", limits.HostPerSecond+1); got != limits.HostPerSecond {
			t.Errorf("%d of a member's machine, want %d", got, limits.HostPerSecond)
		}
		if got := admitted(d, "10.0.0.9", 10*limits.HostPerSecond); got != 10*limits.HostPerSecond {
			t.Errorf("%d of this machine, want all", got)
		}
		testwait.Virtual(time.Second)
		if got := admitted(d, "10.0.0.2", 1); got != 1 {
			t.Error("a machine that was too fast is refused a second later")
		}
	})
}

// So many machines are told apart; while all of them are at it, no other one comes in.
func TestSoManyMachinesAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := pacedDoor()
		host := func(i int) string { return netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String() }
		for i := range limits.Hosts {
			admitted(d, host(i), 1)
		}
		testwait.Virtual(time.Second / 2) // all strangers together may begin again
		if admitted(d, host(limits.Hosts-1), 1) != 1 || admitted(d, host(limits.Hosts), 1) != 0 {
			t.Errorf("not exactly %d machines are told apart", limits.Hosts)
		}
	})
}

// Too many calls of a stranger are refused, and then cost their connection. Those of a
// member are not counted.
func TestCallsBeginAtABearablePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := pacedDoor()
		defer d.close()
		lis := listenTCP(t)
		call := func(g *guest) codes.Code {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			_, err := d.call(withGuest(ctx, g), nil)
			return status.Code(err)
		}
		far, c := tcpPair(t, lis)
		g := d.enter(c, stranger)
		d.cameFrom(g, netip.MustParseAddr("10.0.0.2"))
		for i := range 2 * limits.HostPerSecond {
			want := codes.OK
			if i >= limits.HostPerSecond {
				want = codes.ResourceExhausted
			}
			if got := call(g); got != want {
				t.Fatalf("call %d: %v, want %v", i+1, got, want)
			}
		}
		if !open(t, far) {
			t.Error("the connection went after so many refusals, want after one more")
		}
		if got := call(g); got != codes.ResourceExhausted || open(t, far) {
			t.Errorf("one call more: %v, and the connection stands", got)
		}

		far, c = tcpPair(t, lis)
		g = d.enter(c, stranger)
		d.recognise(withGuest(t.Context(), g))
		for range 3 * limits.HostPerSecond {
			if got := call(g); got != codes.OK {
				t.Fatalf("a member's call: %v", got)
			}
		}
		if !open(t, far) {
			t.Error("a member's connection went")
		}
	})
}
