package service

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/sockio"
	"github.com/arc-ring/arc/internal/trust"
)

// tcpPair is a connection over loopback: the far end, and what a listener
// accepted.
func tcpPair(t *testing.T, lis net.Listener) (far net.Conn, near *sockio.Conn) {
	t.Helper()
	far, err := net.Dial(lis.Addr().Network(), lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close(); _ = conn.Close() })
	return far, sockio.New(conn).(*sockio.Conn)
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lis.Close() })
	return lis
}

// open reports whether the far end of a connection still stands.
func open(t *testing.T, far net.Conn) bool {
	t.Helper()
	_ = far.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := far.Read(make([]byte, 1))
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// thisMachine says of all addresses that they are this machine's.
func thisMachine(netip.Addr) bool { return true }

// A member's certificate puts a connection on the members' account. A client's does not.
func TestACertificateOpensTheMembersAccount(t *testing.T) {
	secrets := []trust.Secret{trust.NewSecret()}
	as := func(role trust.Role, name string) credentials.TransportCredentials {
		return trust.Minted(secrets, trust.Identity{Cluster: "c", Role: role, Name: name}).Credentials()
	}
	lis := listenTCP(t)
	for role, want := range map[trust.Role]standing{trust.Member: known, trust.Operate: stranger, trust.Session: stranger, trust.Read: stranger} {
		d := newDoor(hclog.NewNullLogger(), budgetsFor(1024), func() map[netip.Addr]bool { return nil }, thisMachine)
		far, near := tcpPair(t, lis)
		g := d.enter(near, stranger)
		done := make(chan error, 1)
		go func() {
			_, _, err := doorCredentials{as(trust.Member, "n1"), d}.ServerHandshake(g)
			done <- err
		}()
		_, _, err := as(role, "n2").ClientHandshake(t.Context(), "", far)
		if err := errors.Join(err, <-done); err != nil || g.as != want {
			t.Errorf("%s: standing %d, %v; want %d", role, g.as, err, want)
		}
		_ = g.Close()
	}
}

func TestBudgetsLeaveRoom(t *testing.T) {
	for _, files := range []uint64{0, 64, 100, 300, 1024, 4096, 1 << 20, 1 << 40} {
		b := budgetsFor(files)
		for s := range standings {
			if b.max[s] < 8 {
				t.Errorf("%d files: %d for standing %d", files, b.max[s], s)
			}
		}
		sum := b.max[stranger] + b.max[local] + 2*b.max[known] + limits.FilesReserved
		if files >= 200 && uint64(sum) > files {
			t.Errorf("%d files: budgets need %d", files, sum)
		}
		if b.perHost > b.max[stranger] {
			t.Errorf("%d files: %d from one address, %d in all", files, b.perHost, b.max[stranger])
		}
	}
}

// Where there is no room, the newcomer comes in, and the stranger goes that has
// been idle for longest. Nobody goes who has a call, or is known, for one who
// has none.
func TestTheDoorLetsTheNewcomerIn(t *testing.T) {
	lis := listenTCP(t)
	d := newDoor(hclog.NewNullLogger(), budgets{max: [standings]int{3, 2, 2}, perHost: 3, streams: 100}, func() map[netip.Addr]bool { return nil }, thisMachine)
	var far []net.Conn
	var near []*guest
	enter := func(as standing) {
		f, c := tcpPair(t, lis)
		far, near = append(far, f), append(near, d.enter(c, as))
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	call := func(g *guest) {
		t.Helper()
		if _, err := d.call(withGuest(ctx, g), nil); err != nil {
			t.Fatal(err)
		}
	}
	enter(stranger) // 0
	call(near[0])
	enter(stranger)                      // 1
	enter(stranger)                      // 2
	d.recognise(withGuest(ctx, near[1])) // a member speaks on it
	enter(stranger)                      // 3
	enter(stranger)                      // 4: one too many
	enter(local)                         // 5: on its own account
	want := []bool{true, true, false, true, true, true}
	for i, w := range want {
		if got := open(t, far[i]); got != w {
			t.Errorf("connection %d stands: %v, want %v", i, got, w)
		}
	}
	for range 5 {
		enter(stranger)
	}
	if !open(t, far[0]) || !open(t, far[1]) || !open(t, far[5]) {
		t.Error("one with a call, a member or this machine's own went for an idle stranger")
	}
	if d.count != [standings]int{3, 1, 1} {
		t.Errorf("counts %v", d.count)
	}
}

// cameFrom moves a guest to another machine.
func (d *door) cameFrom(g *guest, host netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addLocked(g, -1)
	g.host = host
	d.addLocked(g, 1)
}

// One address cannot take the room of all strangers.
func TestOneAddressTakesItsOwnRoomAlone(t *testing.T) {
	lis := listenTCP(t)
	members := map[netip.Addr]bool{}
	d := newDoor(hclog.NewNullLogger(), budgets{max: [standings]int{10, 2, 2}, perHost: 2, streams: 100}, func() map[netip.Addr]bool { return members }, thisMachine)
	first, c := tcpPair(t, lis)
	other := d.enter(c, stranger)
	d.cameFrom(other, netip.MustParseAddr("192.0.2.1"))
	for range 6 {
		_, c := tcpPair(t, lis)
		d.enter(c, stranger)
	}
	if d.count[stranger] != 3 || !open(t, first) {
		t.Errorf("%d strangers, the one from elsewhere stands: %v", d.count[stranger], open(t, first))
	}
}

// Calls of strangers are bounded all together, and one too many costs the
// connection that has the most.
func TestTooManyCallsCostTheirConnection(t *testing.T) {
	lis := listenTCP(t)
	d := newDoor(hclog.NewNullLogger(), budgets{max: [standings]int{10, 2, 2}, perHost: 10, streams: 4}, func() map[netip.Addr]bool { return nil }, thisMachine)
	greedyFar, c := tcpPair(t, lis)
	greedy := d.enter(c, stranger)
	modestFar, c := tcpPair(t, lis)
	modest := d.enter(c, stranger)
	ctx, end := context.WithCancel(context.Background())
	for range 4 {
		if _, err := d.call(withGuest(ctx, greedy), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.call(withGuest(ctx, modest), nil); err != nil {
		t.Errorf("a call is refused since others have many: %v", err)
	}
	if open(t, greedyFar) || !open(t, modestFar) {
		t.Error("the wrong connection went")
	}
	if d.streams != 1 {
		t.Errorf("%d calls are counted, want 1", d.streams)
	}
	end()
	for deadline := time.Now().Add(5 * time.Second); ; {
		d.mu.Lock()
		n := d.streams
		d.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d calls are counted after all have ended", n)
		}
	}
}

// faraway is a connection from a machine of which nothing else is there.
type faraway struct {
	net.Conn
	at     netip.Addr
	closed *int
}

func (f faraway) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.AddrPortFrom(f.at, 1)) }
func (f faraway) Close() error         { *f.closed++; return nil }

// As many connections of each standing stand as its account has, and one of them goes
// for one more. A member more than there is room for stays among the strangers.
func TestOneConnectionTooMany(t *testing.T) {
	b := budgetsFor(1 << 20)
	closed, next := 0, netip.MustParseAddr("10.0.0.0")
	d := newDoor(hclog.NewNullLogger(), b, func() map[netip.Addr]bool { return nil }, thisMachine)
	defer d.close()
	enter := func(as standing) *guest {
		next = next.Next()
		return d.enter(&sockio.Conn{Conn: faraway{at: next, closed: &closed}}, as)
	}
	for as, most := range map[standing]int{stranger: limits.Strangers, local: limits.Locals} {
		closed = 0
		for range most {
			enter(as)
		}
		if d.count[as] != most || closed != 0 {
			t.Errorf("standing %d: of %d connections %d stand and %d went", as, most, d.count[as], closed)
		}
		if enter(as); d.count[as] != most || closed != 1 {
			t.Errorf("standing %d: with one more %d stand and %d went", as, d.count[as], closed)
		}
	}
	for range limits.Members + 1 {
		d.recognise(withGuest(t.Context(), enter(stranger)))
	}
	if d.count[known] != limits.Members || d.count[stranger] != limits.Strangers {
		t.Errorf("%d members' connections and %d strangers' stand, want %d and %d", d.count[known], d.count[stranger], limits.Members, limits.Strangers)
	}
}

// As many calls of strangers are under way as there may be, and one more costs the
// connection that has the most.
func TestOneCallTooMany(t *testing.T) {
	closed := 0
	d := newDoor(hclog.NewNullLogger(), budgetsFor(1<<20), func() map[netip.Addr]bool { return nil }, thisMachine)
	defer d.close()
	for range limits.StrangerStreams / limits.ConnStreams {
		g := d.enter(&sockio.Conn{Conn: faraway{closed: &closed}}, stranger)
		for range limits.ConnStreams {
			if _, err := d.call(withGuest(t.Context(), g), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d.streams != limits.StrangerStreams || closed != 0 {
		t.Errorf("%d calls are under way and %d connections went", d.streams, closed)
	}
	g := d.enter(&sockio.Conn{Conn: faraway{closed: &closed}}, stranger)
	if _, err := d.call(withGuest(t.Context(), g), nil); err != nil || d.streams != limits.StrangerStreams-limits.ConnStreams+1 || closed != 1 {
		t.Errorf("one call more: %v; %d are under way and %d connections went", err, d.streams, closed)
	}
}

// failing is a listener without a descriptor for one Accept.
type failing struct {
	net.Listener
	failed bool
}

func (l *failing) Accept() (net.Conn, error) {
	if !l.failed {
		l.failed = true
		return nil, &net.OpError{Op: "accept", Err: unix.EMFILE}
	}
	return l.Listener.Accept()
}

func TestWithoutADescriptorAStrangerGoes(t *testing.T) {
	lis := listenTCP(t)
	d := newDoor(hclog.NewNullLogger(), budgetsFor(1024), func() map[netip.Addr]bool { return nil }, thisMachine)
	old, c := tcpPair(t, lis)
	d.enter(c, stranger)
	far, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	conn, err := doorListener{&failing{Listener: lis}, d, stranger}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if open(t, old) {
		t.Error("nobody went")
	}
	// With nobody to go, gRPC is told, and tries again.
	empty := newDoor(hclog.NewNullLogger(), budgetsFor(1024), func() map[netip.Addr]bool { return nil }, thisMachine)
	_, err = doorListener{&failing{Listener: lis}, empty, stranger}.Accept()
	var temporary interface{ Temporary() bool }
	if !errors.As(err, &temporary) || !temporary.Temporary() {
		t.Errorf("error %v does not say that it passes", err)
	}
}

// withGuest is the context of a call on a guest's connection.
func withGuest(ctx context.Context, g *guest) context.Context {
	return peer.NewContext(ctx, &peer.Peer{Addr: g.RemoteAddr()})
}
