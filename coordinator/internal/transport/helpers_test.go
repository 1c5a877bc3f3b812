package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/paths"
	"github.com/arc-ring/arc/internal/testserver"
	"github.com/arc-ring/arc/internal/testwait"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

// patience bounds how long a test waits for what must come; nothing is
// asserted about how soon it comes.
const patience = 20 * time.Second

// node is a coordinator reduced to its transport.
type node struct {
	t    testing.TB
	tr   *Transport
	host *testserver.Host
	addr string
	// second is its address on another network, if it has one.
	second string
	news   chan paths.News

	self    atomic.Pointer[Identity]
	got     chan election.Message
	up      chan uint64
	down    chan uint64
	evicted chan election.EvictedNotice
	refused chan error
	once    sync.Once
}

type peerService struct {
	peerv1.UnimplementedPeerServiceServer
	tr *Transport
}

func (s *peerService) Stream(stream peerv1.PeerService_StreamServer) error {
	return s.tr.ServeStream(stream)
}

// start makes a node; id 0 is one that has not joined. Options.Self may be
// left out, and so may the callbacks.
func start(t testing.TB, id uint64, addr string, opts Options) *node {
	t.Helper()
	return startOn(t, id, opts, func() (net.Listener, error) { return net.Listen("tcp", addr) })
}

func startOn(t testing.TB, id uint64, opts Options, listen func() (net.Listener, error)) *node {
	t.Helper()
	n := &node{
		t: t, got: make(chan election.Message, 1<<14), up: make(chan uint64, 1024), down: make(chan uint64, 1024),
		evicted: make(chan election.EvictedNotice, 64), refused: make(chan error, 1024), news: make(chan paths.News, 64),
	}
	n.become(Identity{Cluster: "c", RingID: "r", ID: id, Incarnation: 100 + id, Name: fmt.Sprintf("n%d", id)})
	opts.Self = func() Identity { return *n.self.Load() }
	if opts.Deliver == nil {
		opts.Deliver = func(m election.Message) { n.got <- m }
	}
	if opts.PeerDown == nil {
		opts.PeerDown = func(id uint64) { offer(n.down, id) }
	}
	opts.Admitted = func(context.Context) {}
	opts.PathsChanged = func(news paths.News) { offer(n.news, news) }
	opts.Evicted = func(m election.Message) { offer(n.evicted, *m.Evicted) }
	if opts.Logger == nil {
		opts.Logger = hclog.NewNullLogger()
	}
	opts.Logger = &newsLog{opts.Logger, n}
	n.tr = bare(opts)
	l, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	n.addr = l.Addr().String()
	n.become(*n.self.Load())
	n.host = testserver.Serve(l, func(s grpc.ServiceRegistrar) { peerv1.RegisterPeerServiceServer(s, &peerService{tr: n.tr}) }, ServerOptions()...)
	t.Cleanup(n.stop)
	return n
}

// bare is New with what a test can do without.
func bare(opts Options) *Transport {
	if opts.Logger == nil {
		opts.Logger = hclog.NewNullLogger()
	}
	if opts.Dialer == nil {
		opts.Dialer = &connect.Dialer{}
	}
	if opts.Local == nil {
		opts.Local = func(netip.Addr) bool { return false }
	}
	if opts.Network == nil {
		opts.Network = func(a netip.Addr) paths.Network { return paths.Network{Card: a.String(), Name: a.String()} }
	}
	if opts.Gone == nil {
		opts.Gone = func(uint64) bool { return false }
	}
	opts.Sign = func(*election.Message) {}
	if opts.Passed == nil {
		opts.Passed = func(election.Message) error { return nil }
	}
	if opts.SpeaksFor == nil {
		opts.SpeaksFor = func(context.Context, uint64, string) error { return nil }
	}
	return New(opts)
}

// newsLog hands on to a node's channels what only the log says.
type newsLog struct {
	hclog.Logger
	n *node
}

func (l *newsLog) Debug(what string, args ...any) {
	l.news(what, args)
	l.Logger.Debug(what, args...)
}

func (l *newsLog) Warn(what string, args ...any) {
	l.news(what, args)
	l.Logger.Warn(what, args...)
}

func (l *newsLog) news(what string, args []any) {
	for i := 0; i < len(args); i += 2 {
		switch {
		case what == "stream to peer is up" && args[i] == "to":
			offer(l.n.up, args[i+1].(uint64))
		case what == "peer refused our hello" && args[i] == "error":
			offer(l.n.refused, args[i+1].(error))
		}
	}
}

// listed is a member as SetPeers is told of it.
func listed(id, incarnation uint64, addresses ...string) election.Peer {
	return election.Peer{Member: ring.Member{ID: id, Name: fmt.Sprint("n", id), Incarnation: incarnation, Addresses: addresses}}
}

// become changes the identity; what it says of addresses is the truth.
func (n *node) become(self Identity) {
	if n.addr != "" {
		self.Addresses = []string{n.addr}
	}
	n.self.Store(&self)
	if n.tr != nil {
		n.tr.SelfChanged()
	}
}

func (n *node) stop() {
	n.once.Do(func() {
		n.tr.Close()
		n.host.Stop()
	})
}

// kill ends a node as if its process had died: nothing is flushed.
func (n *node) kill() {
	n.host.Stop()
	n.stop()
}

func (n *node) peer() election.Peer {
	self := n.self.Load()
	p := listed(self.ID, self.Incarnation, n.addr)
	p.Name = self.Name
	if n.second != "" {
		p.Addresses = append(p.Addresses, n.second)
	}
	return p
}

// looks waits until the node has seen to all that it was asked to do about a
// peer. A stream that the peer has opened is a sign of life: one that is taken
// only after a break ends the pause before the next dial.
func (n *node) looks(id uint64) {
	n.t.Helper()
	n.tr.mu.Lock()
	p := n.tr.peers[id]
	n.tr.mu.Unlock()
	testwait.Until(n.t, patience, "the node has seen to all that it was asked to do", func() bool {
		n.tr.mu.Lock()
		defer n.tr.mu.Unlock()
		return !slices.ContainsFunc(p.paths, func(r *path) bool { return r.asked != (asked{}) })
	})
}

// hasStream reports whether the stream to a peer stands.
func (n *node) hasStream(id uint64) bool {
	n.tr.mu.Lock()
	defer n.tr.mu.Unlock()
	p := n.tr.peers[id]
	return p != nil && p.standsLocked() != nil
}

func offer[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

func await[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come within %s", what, patience)
		panic("unreachable")
	}
}

// awaitThat takes values until one is wanted.
func awaitThat[T any](t testing.TB, what string, c <-chan T, wanted func(T) bool) T {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case v := <-c:
			if wanted(v) {
				return v
			}
		case <-limit:
			t.Fatalf("%s did not come within %s", what, patience)
		}
	}
}

func introduce(a, b *node) {
	a.tr.SetPeers([]election.Peer{a.peer(), b.peer()})
	b.tr.SetPeers([]election.Peer{a.peer(), b.peer()})
}

func renew(from, to, seq uint64) election.Message {
	return election.Message{From: from, To: to, Renew: &election.Renew{Term: 1, Seq: seq, Lease: time.Second}}
}

// bulk is a raft message with a payload.
func bulk(from, to, seq uint64, size int) election.Message {
	return election.Message{From: from, To: to, Raft: &raftpb.Message{
		Type: raftpb.MsgApp.Enum(), From: new(from), To: new(to), Term: new(uint64(5)), LogTerm: new(uint64(5)), Index: new(seq - 1),
		Entries: []*raftpb.Entry{{Term: new(uint64(5)), Index: new(seq), Data: make([]byte, size)}},
	}}
}

// rawStream opens a stream to a node without a Transport.
func rawStream(t *testing.T, addr string) peerv1.PeerService_StreamClient {
	t.Helper()
	cc := rawConn(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s, err := peerv1.NewPeerServiceClient(cc).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}
