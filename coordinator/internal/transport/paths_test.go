package transport

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/paths"
	"github.com/arc-ring/arc/internal/testserver"
	"github.com/arc-ring/arc/internal/testwait"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// lan is two networks that all of its nodes are on.
type lan struct {
	cables [2]*cable
	// of says on which one an address is.
	of map[string]*cable
}

// start makes a node with an address on each network.
func (l *lan) start(t *testing.T, id uint64) *node {
	t.Helper()
	opts := Options{Dialer: &connect.Dialer{Raw: func(ctx context.Context, _, addr string) (net.Conn, error) {
		d := net.Dialer{Control: func(_, to string, s syscall.RawConn) error { return l.of[to].use(s) }}
		return d.DialContext(ctx, "tcp", addr)
	}}}
	listen := func(c *cable) func() (net.Listener, error) {
		return func() (net.Listener, error) {
			config := net.ListenConfig{Control: c.control}
			sock, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err == nil {
				l.of[sock.Addr().String()] = c
			}
			return plugged{sock, c}, err
		}
	}
	n := startOn(t, id, opts, listen(l.cables[0]))
	second, err := listen(l.cables[1])()
	if err != nil {
		t.Fatal(err)
	}
	host := testserver.Serve(second, func(s grpc.ServiceRegistrar) {
		peerv1.RegisterPeerServiceServer(s, &peerService{tr: n.tr})
	}, ServerOptions()...)
	t.Cleanup(func() { n.stop(); host.Stop() })
	n.second = second.Addr().String()
	return n
}

// paths returns how many streams to the peer stand.
func (n *node) paths(id uint64) (up int) {
	n.tr.mu.Lock()
	defer n.tr.mu.Unlock()
	for _, r := range n.tr.peers[id].paths {
		if r.stands != nil {
			up++
		}
	}
	return up
}

func twoNetworks(t *testing.T) (l *lan, a, b *node) {
	t.Helper()
	l = &lan{cables: [2]*cable{{}, {}}, of: map[string]*cable{}}
	a, b = l.start(t, 1), l.start(t, 2)
	introduce(a, b)
	testwait.Until(t, patience, "streams stand over both networks, both ways", func() bool {
		return a.paths(2) == 2 && b.paths(1) == 2
	})
	return l, a, b
}

// What goes over two networks arrives once, and in order.
func TestSmallMessagesGoOverAllPaths(t *testing.T) {
	_, a, b := twoNetworks(t)
	const n = 500
	for i := uint64(1); i <= n; i++ {
		a.tr.Send(renew(1, 2, i))
	}
	for i := uint64(1); i <= n; i++ {
		if m := await(t, "message", b.got); m.Renew.Seq != i {
			t.Fatalf("number %d came in place of %d", m.Renew.Seq, i)
		}
	}
	a.tr.Send(bulk(1, 2, 9, 2*limits.SmallMessage))
	if m := await(t, "the large message", b.got); m.Raft.GetIndex() != 8 {
		t.Errorf("%v came after the small ones", m)
	}
	select {
	case m := <-b.got:
		t.Errorf("%v came twice", m)
	case <-time.After(50 * time.Millisecond):
	}
}

// While one network is dead the other one carries everything, and nobody waits for
// the dead one.
func TestOneDeadNetworkDelaysNothing(t *testing.T) {
	for k := range 2 {
		l, a, b := twoNetworks(t)
		l.cables[k].pull(true)
		for i := uint64(1); i <= 20; i++ {
			began := time.Now()
			a.tr.Send(renew(1, 2, i))
			if m := await(t, "message", b.got); m.Renew.Seq != i {
				t.Fatalf("number %d came in place of %d", m.Renew.Seq, i)
			}
			t.Logf("network %d is dead: message %d took %v", k, i, time.Since(began))
			a.tr.Send(bulk(1, 2, i, 2*limits.SmallMessage))
			if m := await(t, "large message", b.got); m.Raft.GetIndex() != i-1 {
				t.Fatalf("%v came in place of the large number %d", m, i)
			}
		}
		testwait.Until(t, patience, "the dead path has fallen", func() bool { return a.paths(2) == 1 })
		l.cables[k].pull(false)
		testwait.Until(t, patience, "it is back", func() bool { return a.paths(2) == 2 })
	}
}

// A large message is on its way over one network when that dies. It arrives over the
// other one, before the stream that it was sent on is given up.
func TestALargeMessageIsRescued(t *testing.T) {
	for i := uint64(1); i <= 5; i++ {
		l, a, b := twoNetworks(t)
		a.tr.mu.Lock()
		sent := a.tr.peers[2].paths[0]
		stream := sent.stands
		a.tr.peers[2].paths[1].down.Store(true) // so that the first one is the best
		a.tr.mu.Unlock()
		l.of[sent.address].pull(true)
		a.tr.Send(bulk(1, 2, 7, 2*limits.SmallMessage))
		if m := await(t, "the large message", b.got); m.Raft.GetIndex() != 6 {
			t.Errorf("%v came", m)
		}
		a.tr.mu.Lock()
		stands := sent.stands == stream
		a.tr.mu.Unlock()
		if stands {
			return
		}
		t.Logf("try %d: the stream broke first", i) // the machine may have stood still
	}
	t.Error("a large message waits until the stream is given up")
}

// Both networks are dead for a while: all addresses are tried again, and what waited
// arrives once.
func TestBothNetworksDead(t *testing.T) {
	l, a, b := twoNetworks(t)
	l.cables[0].pull(true)
	l.cables[1].pull(true)
	a.tr.Send(renew(1, 2, 1))
	testwait.Until(t, patience, "no stream stands", func() bool { return a.paths(2) == 0 })
	a.tr.Send(renew(1, 2, 2))
	l.cables[1].pull(false)
	got := []uint64{await(t, "what waited", b.got).Renew.Seq}
	if got[0] == 1 {
		got = append(got, await(t, "the newest", b.got).Renew.Seq)
	}
	if got[len(got)-1] != 2 {
		t.Errorf("%d arrived", got)
	}
	l.cables[0].pull(false)
	testwait.Until(t, patience, "both paths are back", func() bool { return a.paths(2) == 2 })
	select {
	case m := <-b.got:
		t.Errorf("%v came twice", m)
	case <-time.After(50 * time.Millisecond):
	}
}

// A large message is sent while the streams are found to be stuck: who chooses a path
// looks at the streams, and who finds one stuck tells its path.
func TestALargeMessageMeetsAStuckStream(t *testing.T) {
	l, a, _ := twoNetworks(t)
	a.tr.mu.Lock()
	p := a.tr.peers[2]
	ways := p.paths
	stands := []*outbound{ways[0].stands, ways[1].stands}
	a.tr.mu.Unlock()
	l.cables[0].pull(true)
	l.cables[1].pull(true)
	a.tr.Send(renew(1, 2, 1))
	if !ways[0].spare() {
		t.Error("a path is not spare while the other one carries all")
	}
	testwait.Until(t, patience, "the streams are stuck", func() bool {
		return stands[0].stuck(durations.PeerHintedStall) && stands[1].stuck(durations.PeerHintedStall)
	})
	if ways[0].spare() {
		t.Error("a path is spare while the other one is stuck")
	}
	done := make(chan struct{}, 3)
	again := func(do func()) {
		for range 20000 {
			do()
		}
		done <- struct{}{}
	}
	go again(func() { stands[0].check(ways[0]) })
	go again(func() { stands[1].check(ways[1]) })
	go again(func() { a.tr.mu.Lock(); paths.Choose(p.paths, 2*limits.SmallMessage); a.tr.mu.Unlock() })
	for range 3 {
		await(t, "the end of all that met", done)
	}
}

// A path that was told as down and whose address the peer then gives up has its end.
func TestAnAddressIsGivenUpWhileItIsDown(t *testing.T) {
	l, a, b := twoNetworks(t)
	testwait.Real(2*durations.PathCheck, "in which both paths prove good")
	l.cables[1].pull(true)
	if n := await(t, "the news", a.news); n.Word != paths.Down {
		t.Errorf("told %+v, want that the path to 2 is down", n)
	}
	b.second = ""
	a.tr.SetPeers([]election.Peer{a.peer(), b.peer()})
	if n := await(t, "the news", a.news); n.Word != paths.Gone || len(n.Paths) != 1 || n.Paths[0].Peer != (paths.Peer{ID: 2, Name: "n2"}) {
		t.Errorf("told %+v, want that the path to 2 is gone", n)
	}
}

// An address at which another member answers is not a path that is down.
func TestAnAddressLeadsElsewhere(t *testing.T) {
	l, a, b := twoNetworks(t)
	c := l.start(t, 3)
	to := b.peer()
	to.Addresses = append(to.Addresses, c.second)
	a.tr.SetPeers([]election.Peer{a.peer(), to})
	testwait.Until(t, patience, "another member answers at one of three addresses", func() bool {
		for _, f := range a.tr.sendChecks(0) {
			if f.Address == c.second && f.Outcome == paths.Elsewhere {
				return true
			}
		}
		return false
	})
	l.cables[0].pull(true)
	if n := await(t, "the news", a.news); n.Word != paths.Down || len(n.Paths) != 1 || n.Paths[0].Address != b.addr {
		t.Errorf("told %+v, want that the path to 2 at %s is down", n, b.addr)
	}
}

// A real pull of one of two networks is told once, and so is the plug; while both are
// pulled nothing is told.
func TestAPullIsTold(t *testing.T) {
	l, a, b := twoNetworks(t)
	testwait.Real(2*durations.PathCheck, "in which both paths prove good")
	l.cables[1].pull(true)
	if n := await(t, "the news", a.news); n.Word != paths.Down || len(n.Paths) != 1 || n.Paths[0].Peer.ID != 2 {
		t.Errorf("told %+v, want that the path to 2 is down", n)
	}
	l.cables[1].pull(false)
	if n := await(t, "the news", a.news); n.Word != paths.Up || len(n.Paths) != 1 || n.Paths[0].Peer.ID != 2 {
		t.Errorf("told %+v, want that the path to 2 is up", n)
	}
	for _, s := range a.tr.Paths()[2] {
		if !s.GetUp() || s.GetRttUs() == 0 || s.GetRttUs() > uint64(time.Minute/time.Microsecond) || s.GetAddress() != b.addr && s.GetAddress() != b.second {
			t.Errorf("a path is %+v", s)
		}
	}
	select {
	case n := <-a.news:
		t.Errorf("told %+v too", n)
	case <-time.After(50 * time.Millisecond):
	}
}
