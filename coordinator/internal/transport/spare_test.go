package transport

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/paths"
	"github.com/arc-ring/arc/internal/testserver"
	"github.com/arc-ring/arc/internal/testwait"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// wires are two networks in virtual time, with a member at each address. They note when
// a member is dialled over the second one while it works, and count all dials there.
type wires struct {
	mu    sync.Mutex
	hosts map[string]*bufconn.Listener
	conns map[string][]net.Conn
	dead  map[string]bool
	// mute: the second network swallows what is sent.
	mute  bool
	dials int
	began time.Time
	at    map[string]time.Duration
}

const first, second = "192.0.2.", "198.51.100."

func networkOf(addr string) string {
	if strings.HasPrefix(addr, first) {
		return first
	}
	return second
}

func (w *wires) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	network := networkOf(addr)
	if w.swallows(network) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead[network] {
		return nil, fmt.Errorf("%s: network is unreachable", addr)
	}
	if _, dialled := w.at[addr]; network == second && !dialled {
		w.at[addr] = time.Since(w.began)
	}
	c, err := w.hosts[addr].DialContext(ctx)
	if err == nil {
		w.conns[network] = append(w.conns[network], c)
	}
	return c, err
}

func (w *wires) swallows(network string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if network == second {
		w.dials++
	}
	return network == second && w.mute
}

// cut ends a network, and heal brings it back and notes when the members are dialled.
func (w *wires) cut(network string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead[network] = true
	for _, c := range w.conns[network] {
		_ = c.Close()
	}
	w.conns[network] = nil
}

func (w *wires) heal(network string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead[network], w.began, w.at = false, time.Now(), map[string]time.Duration{}
}

// greeter answers the hello and listens.
type greeter struct {
	peerv1.UnimplementedPeerServiceServer
	self Identity
}

func (g *greeter) Stream(s peerv1.PeerService_StreamServer) error {
	if _, err := s.Recv(); err != nil {
		return err
	}
	if err := s.Send(&peerv1.StreamResponse{Body: &peerv1.StreamResponse_Hello{Hello: helloTo(g.self, 1)}}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

// ringOnTwoNetworks runs a lone transport whose peers are on two networks.
func ringOnTwoNetworks(t *testing.T, peers int, story func(t *testing.T, w *wires, tr *Transport)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wires{hosts: map[string]*bufconn.Listener{}, conns: map[string][]net.Conn{}, dead: map[string]bool{}}
		identity := func(id uint64) Identity {
			return Identity{Cluster: "c", RingID: "r", ID: id, Incarnation: 1, Name: fmt.Sprint("n", id)}
		}
		var members []election.Peer
		for id := uint64(2); id < uint64(2+peers); id++ {
			m := listed(id, 1)
			for _, network := range []string{first, second} {
				addr := fmt.Sprintf("%s%d:7400", network, id)
				w.hosts[addr] = bufconn.Listen(1 << 16)
				host := testserver.Serve(w.hosts[addr], func(s grpc.ServiceRegistrar) {
					peerv1.RegisterPeerServiceServer(s, &greeter{self: identity(id)})
				})
				defer host.Stop()
				m.Addresses = append(m.Addresses, addr)
			}
			members = append(members, m)
		}
		tr := bare(Options{
			Self: func() Identity { return identity(1) }, Dialer: &connect.Dialer{Raw: w.dial},
			Local:    func(a netip.Addr) bool { return !a.IsValid() }, // where these connections come from
			PeerDown: func(uint64) {}, PathsChanged: func(paths.News) {},
		})
		defer tr.Close()
		w.heal(second)
		tr.SetPeers(members)
		testwait.Virtual(5 * time.Second)
		w.stand(t, tr, peers, 2)
		story(t, w, tr)
	})
}

// stand demands that so many streams stand to each peer.
func (w *wires) stand(t *testing.T, tr *Transport, peers, want int) {
	t.Helper()
	for id := uint64(2); id < uint64(2+peers); id++ {
		if got := (&node{tr: tr}).paths(id); got != want {
			t.Fatalf("%d streams stand to %d, want %d", got, id, want)
		}
	}
}

// All hosts of a network have it back at the same moment, and those that lost their own
// cable hear of it. They do not all shake hands at that moment.
func TestANetworkThatIsBackIsDialledBitByBit(t *testing.T) {
	const peers = 16
	ringOnTwoNetworks(t, peers, func(t *testing.T, w *wires, tr *Transport) {
		// By chance all 16 are dialled in a quarter of the time once in billions of runs.
		if last := slices.Max(slices.Collect(maps.Values(w.at))); last <= durations.PeerSpare/4 || last > durations.PeerSpare {
			t.Errorf("at the start the last peer is dialled after %v", last)
		}
		w.cut(second)
		testwait.Virtual(10 * time.Second)
		w.stand(t, tr, peers, 1)
		w.heal(second)
		tr.NetworkChanged()
		testwait.Virtual(2 * durations.PeerSpare)
		w.stand(t, tr, peers, 2)
		var soon int
		for addr, at := range w.at {
			t.Logf("%s is dialled after %v", addr, at)
			if at <= durations.PeerSpare/10 {
				soon++
			}
		}
		// By chance 9 of 16 are dialled in a tenth of the time once in 100,000 runs.
		if soon > peers/2 {
			t.Errorf("%d of %d peers were dialled within %v", soon, peers, durations.PeerSpare/10)
		}
	})
}

// What reached a peer fails before a network that is back was dialled. Then there is no
// time to lose.
func TestTheOtherPathFallsBeforeItsSuccessorIsDialled(t *testing.T) {
	const peers = 16
	for what, fall := range map[string]func(*wires, *path){
		"it breaks": func(w *wires, _ *path) { w.cut(first) },
		"it is stuck": func(_ *wires, p *path) {
			p.down.Store(true)
			p.rescue()
		},
	} {
		t.Run(what, func(t *testing.T) {
			ringOnTwoNetworks(t, peers, func(t *testing.T, w *wires, tr *Transport) {
				tr.NetworkChanged() // all paths hear that they are spare
				testwait.Virtual(time.Second)
				w.cut(second)
				testwait.Virtual(10 * time.Second)
				w.heal(second)
				tr.mu.Lock()
				var fallen []*path
				for _, p := range tr.peers {
					fallen = append(fallen, p.paths[0])
				}
				tr.mu.Unlock()
				for _, p := range fallen {
					fall(w, p)
				}
				testwait.Virtual(time.Millisecond)
				if len(w.at) < peers {
					t.Errorf("%d of %d peers are dialled over the other network", len(w.at), peers)
				}
			})
		})
	}
}

// What reached a peer is stuck for a moment. A path that swallows all is dialled again and
// again meanwhile, and no more once the other one is as before.
func TestARescueEnds(t *testing.T) {
	ringOnTwoNetworks(t, 1, func(t *testing.T, w *wires, tr *Transport) {
		w.mute = true
		w.cut(second)
		testwait.Virtual(10 * time.Second)
		tr.mu.Lock()
		p := tr.peers[2].paths[0]
		tr.mu.Unlock()
		dials := func(d time.Duration) int {
			w.mu.Lock()
			before := w.dials
			w.mu.Unlock()
			testwait.Virtual(d)
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.dials - before
		}
		p.down.Store(true)
		p.rescue()
		if n := dials(3 * durations.PeerOverlap); n < 3 {
			t.Errorf("%d dials while the other path is stuck", n)
		}
		p.down.Store(false)
		if n := dials(durations.PeerConnect); n > 2 {
			t.Errorf("%d dials since it is as before", n)
		}
		p.down.Store(true)
		tr.Quiet(2)
		testwait.Virtual(time.Millisecond)
		p.rescue()
		if n := dials(dialRules.Slow / 2); n > 0 {
			t.Errorf("%d dials of a peer that is thought dead", n)
		}
	})
}
