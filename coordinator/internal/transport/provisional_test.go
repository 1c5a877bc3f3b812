package transport

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/peerwire"
	"github.com/arc-ring/arc/internal/testwait"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// count says how many streams of a peer are open to the node.
func (n *node) count(id uint64) int {
	n.tr.mu.Lock()
	defer n.tr.mu.Unlock()
	return len(n.tr.inbound[id])
}

func (n *node) provisional(id uint64) bool {
	n.tr.mu.Lock()
	defer n.tr.mu.Unlock()
	p := n.tr.peers[id]
	return p != nil && p.provision != nil
}

func exchange(t *testing.T, a, b *node, aID, bID, seq uint64) {
	t.Helper()
	a.tr.Send(renew(aID, bID, seq))
	if m := await(t, "message", b.got); m.Renew.Seq != seq {
		t.Fatalf("%d got number %d, want %d", bID, m.Renew.Seq, seq)
	}
	b.tr.Send(renew(bID, aID, seq))
	if m := await(t, "answer", a.got); m.Renew.Seq != seq {
		t.Fatalf("%d got number %d, want %d", aID, m.Renew.Seq, seq)
	}
}

func TestAnswersALeaderThatItDoesNotKnowYet(t *testing.T) {
	leader, laggard := start(t, 12, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	other := start(t, 3, "127.0.0.1:0", Options{})
	laggard.tr.SetPeers([]election.Peer{other.peer()})
	leader.tr.SetPeers([]election.Peer{laggard.peer()})
	exchange(t, leader, laggard, 12, 2, 1)
	if !laggard.provisional(12) {
		t.Error("the leader is an ordinary peer of who does not list it")
	}
	laggard.tr.SetPeers([]election.Peer{other.peer()}) // still behind
	exchange(t, leader, laggard, 12, 2, 2)

	// All that follows goes over the streams that are open now.
	awaitThat(t, "stream to the leader", laggard.up, func(id uint64) bool { return id == 12 })
	early := leader.peer()
	early.Incarnation++ // it was restarted since it joined, which is not applied yet
	for i, peers := range [][]election.Peer{{other.peer(), early}, {other.peer(), leader.peer()}, {other.peer()}, {leader.peer()}} {
		laggard.tr.SetPeers(peers)
		listed := slices.ContainsFunc(peers, func(p election.Peer) bool { return p.ID == 12 })
		if laggard.provisional(12) == listed {
			t.Errorf("list %d: provisional %v, listed %v", i, !listed, listed)
		}
		exchange(t, leader, laggard, 12, 2, uint64(3+i))
	}
	if n := leader.count(2); n != 1 {
		t.Errorf("the leader has %d streams of the laggard, want the first one alone", n)
	}
	for len(laggard.up) > 0 {
		if id := <-laggard.up; id == 12 {
			t.Error("a stream to the leader was opened again")
		}
	}
}

func TestFindsAMemberThatMoved(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	old := b.peer()
	b.kill()
	moved := start(t, 2, "127.0.0.1:0", Options{})
	a.tr.SetPeers([]election.Peer{old}) // its return is not applied yet
	moved.tr.SetPeers([]election.Peer{a.peer()})
	exchange(t, moved, a, 2, 1, 1)
	if got, want := a.tr.Addresses(2), []string{b.addr, moved.addr}; !slices.Equal(got, want) {
		t.Errorf("it is dialled at %v, want %v", got, want)
	}
	if got := a.tr.Addresses(9); got != nil {
		t.Errorf("a stranger is dialled at %v", got)
	}
}

func TestReplacedProcessLosesItsStream(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	p := b.peer()
	a.tr.SetPeers([]election.Peer{p})
	await(t, "stream", a.up)
	p.Incarnation++
	a.tr.SetPeers([]election.Peer{p})
	await(t, "news of the break", a.down)
	await(t, "fresh stream", a.up)
}

func TestWhoIsGoneIsNotDialledBack(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{Gone: func(id uint64) bool { return id == 1 }})
	a.tr.SetPeers([]election.Peer{b.peer()})
	await(t, "notice", a.evicted)
	if b.provisional(1) {
		t.Error("who is gone became a peer")
	}
	b.tr.Send(renew(2, 1, 1)) // to nobody
	if b.provisional(1) {
		t.Error("who is gone became a peer by a message to it")
	}
}

func TestEvictionEndsAProvisionalPeer(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	a.tr.SetPeers([]election.Peer{b.peer()})
	exchange(t, a, b, 1, 2, 1)
	want := election.EvictedNotice{RingID: "r", ID: 1, Epoch: 12}
	b.tr.Send(election.Message{From: 2, To: 1, Evicted: &want})
	if n := await(t, "notice", a.evicted); n != want {
		t.Errorf("got %+v, want %+v", n, want)
	}
}

// As when this node leaves the ring: no peers, then another identity.
func TestWhatIsQueuedLeavesBeforeANewIdentity(t *testing.T) {
	for name, listed := range map[string]bool{"to a listed peer": true, "to a provisional one": false} {
		t.Run(name, func(t *testing.T) {
			a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
			a.tr.SetPeers([]election.Peer{b.peer()})
			if listed {
				b.tr.SetPeers([]election.Peer{a.peer()})
			}
			exchange(t, a, b, 1, 2, 1)
			for i := uint64(1); i <= 500; i++ {
				b.tr.Send(renew(2, 1, i))
			}
			b.tr.SetPeers(nil)
			b.become(Identity{Cluster: "c", RingID: "r", Incarnation: 102, Name: "n2"})
			if b.tr.knows(1) {
				t.Error("a peer of the old identity is kept")
			}
			for i := uint64(1); i <= 500; i++ {
				if m := await(t, "message", a.got); m.Renew.Seq != i {
					t.Fatalf("got number %d, want %d", m.Renew.Seq, i)
				}
			}
		})
	}
}

// lone runs a transport whose dials all hang, in virtual time.
func lone(t *testing.T, gone func(uint64) bool, story func(tr *Transport, dialled func() []string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var all []string
		tr := bare(Options{
			Self: func() Identity { return Identity{Cluster: "c", RingID: "r", ID: 1, Name: "n1"} },
			Gone: gone, PeerDown: func(uint64) {},
			Dialer: &connect.Dialer{Raw: func(ctx context.Context, _, addr string) (net.Conn, error) {
				mu.Lock()
				all = append(all, addr)
				mu.Unlock()
				return nil, silence(ctx)
			}},
		})
		story(tr, func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		})
		tr.Close()
	})
}

func hi(t *testing.T, tr *Transport, id, incarnation uint64, addresses ...string) *inbound {
	t.Helper()
	in, err := tr.register(t.Context(), &peerv1.PeerHello{Cluster: "c", RingId: "r", Id: id, Incarnation: incarnation, Addresses: addresses}, tr.opts.Self())
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func (t *Transport) knows(id uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peers[id] != nil
}

func TestProvisionalPeerIsDroppedAfterItsStream(t *testing.T) {
	lone(t, nil, func(tr *Transport, dialled func() []string) {
		in := hi(t, tr, 12, 1, "192.0.2.1:7400")
		testwait.Virtual(time.Hour)
		if !tr.knows(12) {
			t.Error("dropped although its stream is open")
		}
		tr.unregister(in, false)
		testwait.Virtual(durations.UnlistedKeep - time.Second)
		again := hi(t, tr, 12, 1, "192.0.2.1:7400")
		testwait.Virtual(time.Hour)
		if !tr.knows(12) {
			t.Error("dropped although it came back in time")
		}
		tr.unregister(again, false)
		testwait.Virtual(durations.UnlistedKeep - time.Millisecond)
		if !tr.knows(12) {
			t.Errorf("dropped before %s", durations.UnlistedKeep)
		}
		testwait.Virtual(2 * durations.UnlistedCheck)
		if tr.knows(12) {
			t.Errorf("not dropped %s after its stream", durations.UnlistedKeep+2*durations.UnlistedCheck)
		}
		n := len(dialled())
		testwait.Virtual(time.Minute)
		if len(dialled()) != n {
			t.Error("dialled after it was dropped")
		}
	})
}

func TestListedPeerIsNotDroppedAfterItsStream(t *testing.T) {
	lone(t, nil, func(tr *Transport, _ func() []string) {
		in := hi(t, tr, 12, 1, "192.0.2.1:7400")
		tr.SetPeers([]election.Peer{listed(12, 1, "192.0.2.1:7400")})
		tr.unregister(in, false)
		testwait.Virtual(time.Hour)
		if !tr.knows(12) {
			t.Error("a listed peer was dropped")
		}
		tr.SetPeers(nil) // without a stream to us: not a provisional one
		if tr.knows(12) {
			t.Error("who is neither listed nor heard is still a peer")
		}
	})
}

func TestProvisionalPeerThatIsGoneIsDropped(t *testing.T) {
	var gone atomic.Bool
	lone(t, func(uint64) bool { return gone.Load() }, func(tr *Transport, _ func() []string) {
		hi(t, tr, 12, 1, "192.0.2.1:7400")
		gone.Store(true)
		testwait.Virtual(2 * durations.UnlistedCheck)
		if tr.knows(12) {
			t.Error("it is kept")
		}
		gone.Store(false)
		hi(t, tr, 13, 1, "192.0.2.1:7400")
		tr.SetPeers(nil)
		if !tr.knows(13) {
			t.Error("who has a stream open is dropped")
		}
		gone.Store(true)
		tr.SetPeers(nil)
		if tr.knows(13) {
			t.Error("who is gone survives a new list")
		}
	})
}

func TestProvisionalPeersAreBounded(t *testing.T) {
	lone(t, nil, func(tr *Transport, _ func() []string) {
		const first, many = 100, 2 * limits.UnlistedPeers
		count := func() (n int) {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			for _, p := range tr.peers {
				if p.provision != nil {
					n++
				}
			}
			return n
		}
		for id := uint64(first); id < first+many; id++ {
			hi(t, tr, id, 1, fmt.Sprintf("192.0.2.1:%d", id))
		}
		if n := count(); n != limits.UnlistedPeers {
			t.Errorf("%d provisional peers, want %d", n, limits.UnlistedPeers)
		}
		// A peer that is answered gets a place, until all places are used.
		for id := uint64(first + many - 1); id >= first; id-- {
			tr.Send(renew(1, id, 1))
			if used := first + many - id; tr.knows(id) != (used <= limits.UnlistedPeers) {
				t.Errorf("after %d were answered, number %d is a peer: %v", used, id, tr.knows(id))
			}
			if n := count(); n > limits.UnlistedPeers {
				t.Fatalf("%d provisional peers, want at most %d", n, limits.UnlistedPeers)
			}
		}
		// Listed ones do not count, nor do those without an address.
		var peers []election.Peer
		for id := uint64(1000); id < 1000+many; id++ {
			peers = append(peers, listed(id, 0, "192.0.2.1:1"))
			hi(t, tr, id, 1)
			if tr.knows(id) {
				t.Errorf("number %d is a peer without an address", id)
			}
		}
		tr.SetPeers(peers)
		if n := count(); n != limits.UnlistedPeers {
			t.Errorf("%d provisional peers beside those listed, want %d", n, limits.UnlistedPeers)
		}
		tr.SetPeers(peers[:1])
		if n := count(); n != limits.UnlistedPeers {
			t.Errorf("%d provisional peers after a shorter list, want %d", n, limits.UnlistedPeers)
		}
	})
}

func TestEveryHelloOfAProvisionalPeerCounts(t *testing.T) {
	lone(t, nil, func(tr *Transport, dialled func() []string) {
		hi(t, tr, 12, 2, "192.0.2.2:7400")
		hi(t, tr, 12, 1, "192.0.2.1:7400") // late, of an earlier process
		testwait.Virtual(10 * time.Second)
		for _, want := range []string{"192.0.2.1:7400", "192.0.2.2:7400"} {
			if !slices.Contains(dialled(), want) {
				t.Errorf("%s is not dialled: %v", want, dialled())
			}
		}
		for i := range 3 * limits.Addresses {
			hi(t, tr, 12, 3, fmt.Sprintf("192.0.2.3:%d", i+1))
		}
		tr.mu.Lock()
		all := tr.peers[12].addressesLocked()
		tr.mu.Unlock()
		if len(all) != limits.Addresses || all[0] != fmt.Sprintf("192.0.2.3:%d", 3*limits.Addresses) {
			t.Errorf("addresses %v, want the newest %d", all, limits.Addresses)
		}
	})
}

func TestMessagesTellTheirIncarnation(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	introduce(a, b)
	await(t, "stream", a.up)
	for _, m := range []election.Message{renew(1, 2, 1), bulk(1, 2, 1, 10)} {
		m.Incarnation = 999 // what the sender puts there is of no matter
		a.tr.Send(m)
		if got := await(t, "message", b.got); got.Incarnation != 101 {
			t.Errorf("incarnation %d, want 101 as in the hello", got.Incarnation)
		}
	}
	a.become(Identity{Cluster: "c", RingID: "r", ID: 1, Incarnation: 555, Name: "n1"})
	await(t, "stream under the new incarnation", a.up)
	a.tr.Send(renew(1, 2, 2))
	if got := await(t, "message", b.got); got.Incarnation != 555 {
		t.Errorf("incarnation %d, want 555", got.Incarnation)
	}
}

func TestLateHelloOfAnEarlierProcessIsHarmless(t *testing.T) {
	b := start(t, 2, "127.0.0.1:0", Options{})
	renewal, err := peerwire.Encode(renew(1, 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	open := func(incarnation uint64) peerv1.PeerService_StreamClient {
		s := rawStream(t, b.addr)
		h := &peerv1.PeerHello{Cluster: "c", RingId: "r", Id: 1, Incarnation: incarnation, To: 2}
		if err := s.Send(&peerv1.StreamRequest{Body: &peerv1.StreamRequest_Hello{Hello: h}}); err != nil {
			t.Fatal(err)
		}
		if env, err := s.Recv(); err != nil {
			t.Fatalf("answer %v, %v", env, err)
		}
		return s
	}
	says := func(s peerv1.PeerService_StreamClient, incarnation uint64) {
		t.Helper()
		if err := s.Send(renewal); err != nil {
			t.Fatal(err)
		}
		if m := await(t, "message", b.got); m.From != 1 || m.Incarnation != incarnation {
			t.Errorf("message of %d in incarnation %d, want 1 in %d", m.From, m.Incarnation, incarnation)
		}
	}
	first := open(6)
	says(first, 6)
	newer := open(7)
	if _, err := first.Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("stream of the replaced process ended with %v, want Aborted", err)
	}
	says(newer, 7)
	older := make([]peerv1.PeerService_StreamClient, limits.PeerStreamsEach+1)
	for i := range older {
		older[i] = open(5)
		says(older[i], 5)
	}
	says(newer, 7)
	// Too many: the earlier process pays itself.
	if _, err := older[0].Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("idlest stream of the earlier process ended with %v, want Aborted", err)
	}
	for _, s := range older[1:] {
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "news that the earlier process is silent", b.down)
	says(newer, 7)
}
