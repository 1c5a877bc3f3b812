package hostaddr

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// alone moves the test to a network namespace of its own, on a thread that is
// not used again.
func alone(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs the program ip (Debian's iproute2)")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace here: %v", err)
	}
}

// ip runs the program of that name in the namespace of this thread.
func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// add makes an interface with an address.
func add(t *testing.T, name, addr string, up bool) {
	t.Helper()
	// A pair, as the lab's hosts have: not every kernel has dummy interfaces.
	peer := name + "-peer"
	ip(t, "link add "+name+" type veth peer name "+peer)
	ip(t, "link set "+peer+" up")
	ip(t, "address add "+addr+" dev "+name)
	if up {
		ip(t, "link set "+name+" up")
	}
}

// An address of an interface that is down is this machine's own, but nobody
// reaches the machine there.
func TestOwnAndReachable(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		alone(t)
		if got, err := Reachable(false); err != nil || len(got) != 0 {
			t.Errorf("a machine without interfaces is reached at %v, %v", got, err)
		}
		add(t, "up0", "10.1.2.3/24", true)
		add(t, "down0", "172.17.0.1/16", false)
		table := &Table{}
		for a, want := range map[string]bool{"10.1.2.3": true, "172.17.0.1": true, "::ffff:10.1.2.3": true, "127.0.0.1": true, "10.1.2.4": false} {
			if got := table.Has(netip.MustParseAddr(a)); got != want {
				t.Errorf("%s is own: %v, want %v", a, got, want)
			}
		}
		if got, err := Reachable(true); err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("10.1.2.3") {
			t.Errorf("reached at %v, %v; want 10.1.2.3 alone", got, err)
		}
	}()
	<-done
}

// Addresses of both kinds on one interface are networks of it. Of what the machine does
// not have nothing is known.
func TestNetworkOfAnAddress(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		alone(t)
		add(t, "one0", "10.1.2.3/24", true)
		ip(t, "address add fd00:1::3/64 dev one0 nodad")
		add(t, "two0", "10.1.3.3/16", false)
		table := &Table{}
		for a, want := range map[string][2]string{
			"10.1.2.3": {"one0", "10.1.2.0/24"}, "::ffff:10.1.2.3": {"one0", "10.1.2.0/24"}, "fd00:1::3": {"one0", "fd00:1::/64"},
			"10.1.3.3": {"two0", "10.1.0.0/16"}, "10.1.2.4": {"10.1.2.4", "10.1.2.4"},
		} {
			if card, network := table.Network(netip.MustParseAddr(a)); card != want[0] || network != want[1] {
				t.Errorf("%s is on %s, %s; want %q", a, card, network, want)
			}
		}
		ip(t, "link set one0 down")
		ip(t, "link set one0 name uno0")
		table.look()
		if card, _ := table.Network(netip.MustParseAddr("10.1.2.3")); card != "uno0" {
			t.Errorf("after another look 10.1.2.3 is on %s, want uno0", card)
		}
	}()
	<-done
}

func TestWatchTellsOfAnAddress(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		alone(t)
		ctx, cancel := context.WithCancel(t.Context())
		changes, over := make(chan struct{}, 100), make(chan struct{})
		notices, err := subscribe()
		if err != nil {
			t.Error(err)
			cancel()
			return
		}
		go func() {
			defer close(over)
			(&Table{}).follow(ctx, notices, func() { changes <- struct{}{} })
		}()
		add(t, "up0", "10.1.2.3/24", true)
		await := func(what string) {
			select {
			case <-changes:
			case <-time.After(10 * time.Second):
				t.Errorf("not told of %s", what)
			}
		}
		await("an address")
		for len(changes) > 0 {
			<-changes
		}
		ip(t, "link set up0 down")
		await("an interface that went down")
		cancel()
		<-over
	}()
	<-done
	(&Table{}).Watch(cancelled(t), hclog.NewNullLogger(), func() { t.Error("called after the end") })
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
