package transport

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/peerwire"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestForeignHelloIsRefused(t *testing.T) {
	good := peerv1.PeerHello{Cluster: "c", RingId: "r", Id: 1, Incarnation: 1, Name: "n1", To: 2}
	for _, tc := range []struct {
		name string
		edit func(h *peerv1.PeerHello)
		code codes.Code
		says string
	}{
		{"cluster", func(h *peerv1.PeerHello) { h.Cluster = "other" }, codes.FailedPrecondition, `cluster "c", not "other"`},
		{"ring", func(h *peerv1.PeerHello) { h.RingId = "other" }, codes.FailedPrecondition, `ring r, not "other"`},
		{"to", func(h *peerv1.PeerHello) { h.To = 9 }, codes.FailedPrecondition, "member 2 (n2), not 9"},
		{"own id", func(h *peerv1.PeerHello) { h.Id = 2 }, codes.FailedPrecondition, "this node (n2) itself"},
		{"no id", func(h *peerv1.PeerHello) { h.Id = 0 }, codes.InvalidArgument, "malformed"},
		{"many addresses", func(h *peerv1.PeerHello) { h.Addresses = slices.Repeat([]string{"192.0.2.1:7400"}, 17) }, codes.InvalidArgument, "17 addresses, at most 16"},
		{"long address", func(h *peerv1.PeerHello) { h.Addresses = []string{strings.Repeat("x", 256) + ":7400"} }, codes.InvalidArgument, "at most 255"},
		{"socket for an address", func(h *peerv1.PeerHello) { h.Addresses = []string{"192.0.2.1:7400", "unix:///run/x:1"} }, codes.InvalidArgument, `"unix:///run/x:1" is not HOST:PORT`},
		{"long name", func(h *peerv1.PeerHello) { h.Name = strings.Repeat("x", 2000) }, codes.InvalidArgument, "malformed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out lockedBuffer
			b := start(t, 2, "127.0.0.1:0", Options{Logger: hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Warn})})
			h := &peerv1.PeerHello{Cluster: good.Cluster, RingId: good.RingId, Id: good.Id, Incarnation: 1, Name: good.Name, To: good.To}
			tc.edit(h) // the only thing wrong with it
			for range 3 {
				s := rawStream(t, b.addr)
				if err := s.Send(&peerv1.StreamRequest{Body: &peerv1.StreamRequest_Hello{Hello: h}}); err != nil {
					t.Fatal(err)
				}
				env, err := s.Recv()
				if status.Code(err) != tc.code || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("answer %v, %v; want %s with %q", env, err, tc.code, tc.says)
				}
			}
			if n := strings.Count(out.String(), "peer stream refused"); n != 1 {
				t.Errorf("logged %d times, want once:\n%s", n, out.String())
			}
		})
	}
}

func TestHelloTellsOnlyGoodAddresses(t *testing.T) {
	self := Identity{Cluster: "c", RingID: "r", ID: 1, Addresses: []string{
		"192.0.2.1:7400", "[2001:db8::1]:7400", "[fe80::1%eth0]:7400", "n1.example:7400",
		"", "192.0.2.1", ":7400", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:http", "unix:///run/arc.sock", "a b:7400", "a/b:7400", "n\xff:7400", strings.Repeat("x", 300) + ":1",
	}}
	if got := helloTo(self, 2).GetAddresses(); !slices.Equal(got, self.Addresses[:4]) {
		t.Errorf("addresses %q, want %q", got, self.Addresses[:4])
	}
	self.Addresses = nil
	for i := range 20 {
		self.Addresses = append(self.Addresses, fmt.Sprintf("192.0.2.%d:7400", i))
	}
	h := helloTo(self, 2)
	if !slices.Equal(h.GetAddresses(), self.Addresses[:limits.Addresses]) {
		t.Errorf("addresses %q, want the first %d", h.GetAddresses(), limits.Addresses)
	}
	if err := checkClientHello(h, Identity{Cluster: "c", RingID: "r", ID: 2}); err != nil {
		t.Errorf("our own hello is refused: %v", err)
	}
}

func TestClientChecksTheServersHello(t *testing.T) {
	self := Identity{Cluster: "c", RingID: "r", ID: 1}
	for _, tc := range []struct {
		name string
		h    *peerv1.PeerHello
		ok   bool
	}{
		{"good", &peerv1.PeerHello{Cluster: "c", RingId: "r", Id: 2}, true},
		{"none", nil, false},
		{"cluster", &peerv1.PeerHello{Cluster: "d", RingId: "r", Id: 2}, false},
		{"ring", &peerv1.PeerHello{Cluster: "c", RingId: "s", Id: 2}, false},
		{"id", &peerv1.PeerHello{Cluster: "c", RingId: "r", Id: 3}, false},
	} {
		if err := checkServerHello(tc.h, self, 2); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestRefusedClientIsTold(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	b.become(Identity{Cluster: "c", RingID: "another", ID: 2, Incarnation: 5, Name: "n2"})
	a.tr.SetPeers([]election.Peer{b.peer()})
	err := await(t, "refusal", a.refused)
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), `ring another, not "r"`) {
		t.Errorf("got %v, want FailedPrecondition that names both rings", err)
	}
}

func TestStreamMustStartWithHelloAndStayWellFormed(t *testing.T) {
	b := start(t, 2, "127.0.0.1:0", Options{})
	renewal, err := peerwire.Encode(renew(1, 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := peerwire.Encode(bulk(9, 2, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	hello := &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Hello{Hello: &peerv1.PeerHello{Cluster: "c", RingId: "r", Id: 1, To: 2}}}
	for _, tc := range []struct {
		name string
		send []*peerv1.StreamRequest
	}{
		{"no hello", []*peerv1.StreamRequest{renewal}},
		{"empty", []*peerv1.StreamRequest{{}}},
		{"two hellos", []*peerv1.StreamRequest{hello, hello}},
		{"raft of another", []*peerv1.StreamRequest{hello, renewal, foreign}},
		{"raft is noise", []*peerv1.StreamRequest{hello, {Body: &peerv1.StreamRequest_Raft{Raft: []byte("\xff\xff\xff")}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := rawStream(t, b.addr)
			for _, env := range tc.send {
				if err := s.Send(env); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			for err == nil {
				_, err = s.Recv()
			}
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("stream ended with %v, want InvalidArgument", err)
			}
		})
	}
}

func TestHelloIsHeldUntilJoined(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 0, "127.0.0.1:0", Options{})
	b.become(Identity{Cluster: "c", Incarnation: 7, Name: "n5"}) // knows not even its ring
	a.tr.SetPeers([]election.Peer{listed(5, 7, b.addr)})
	a.tr.Send(renew(1, 5, 1))
	b.become(Identity{Cluster: "c", RingID: "r", Incarnation: 7, Name: "n5"})
	b.become(Identity{Cluster: "c", RingID: "r", ID: 5, Incarnation: 7, Name: "n5"})
	await(t, "stream", a.up)
	if m := await(t, "message", b.got); m.To != 5 {
		t.Errorf("delivered to %d, want 5", m.To)
	}
}

func TestHeldHelloIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name string
		ring string
		code codes.Code
	}{
		{"when joining takes too long", "r", codes.Unavailable},
		{"when another ring is being joined", "s", codes.FailedPrecondition},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, 0, "127.0.0.1:0", Options{})
			b.become(Identity{Cluster: "c", RingID: tc.ring, Incarnation: 7, Name: "n5"})
			s := rawStream(t, b.addr)
			hello := &peerv1.PeerHello{Cluster: "c", RingId: "r", Id: 1, To: 5}
			if err := s.Send(&peerv1.StreamRequest{Body: &peerv1.StreamRequest_Hello{Hello: hello}}); err != nil {
				t.Fatal(err)
			}
			if env, err := s.Recv(); status.Code(err) != tc.code {
				t.Errorf("answer %v, %v; want %s", env, err, tc.code)
			}
		})
	}
}

func TestNoStreamBeforeJoining(t *testing.T) {
	a, b := start(t, 0, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	a.tr.SetPeers([]election.Peer{b.peer()})
	a.become(Identity{Cluster: "c", RingID: "r", ID: 4, Incarnation: 9, Name: "n4"})
	await(t, "stream", a.up)
	a.tr.Send(renew(4, 2, 1))
	if m := await(t, "message", b.got); m.From != 4 {
		t.Errorf("from %d, want 4", m.From)
	}
}

func TestEvictedIsTold(t *testing.T) {
	want := election.EvictedNotice{RingID: "r", ID: 1, Epoch: 12}
	t.Run("on its stream", func(t *testing.T) {
		a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
		a.tr.SetPeers([]election.Peer{b.peer()})
		await(t, "stream", a.up)
		b.tr.Send(election.Message{From: 2, To: 7, Evicted: &want}) // nobody
		b.tr.Send(election.Message{From: 2, To: 1, Evicted: &want})
		if n := await(t, "notice", a.evicted); n != want {
			t.Errorf("got %+v, want %+v", n, want)
		}
		await(t, "news of the break", a.down)
	})
	t.Run("by a message to who is no peer", func(t *testing.T) {
		a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
		a.tr.SetPeers([]election.Peer{b.peer()})
		await(t, "stream", a.up)
		b.tr.Send(election.Message{From: 2, To: 1, Evicted: &want})
		if n := await(t, "notice", a.evicted); n != want {
			t.Errorf("got %+v, want %+v", n, want)
		}
	})
	t.Run("at its hello", func(t *testing.T) {
		a := start(t, 1, "127.0.0.1:0", Options{})
		b := start(t, 2, "127.0.0.1:0", Options{Gone: func(id uint64) bool { return id == 1 }})
		b.become(Identity{Cluster: "c", RingID: "r", ID: 2, Incarnation: 102, Name: "n2", Epoch: 12})
		p := b.peer()
		p.ID = 2
		a.tr.SetPeers([]election.Peer{p})
		if n := await(t, "notice", a.evicted); n != want {
			t.Errorf("got %+v, want %+v", n, want)
		}
	})
	t.Run("even if it asks for an older self", func(t *testing.T) {
		a := start(t, 1, "127.0.0.1:0", Options{})
		b := start(t, 8, "127.0.0.1:0", Options{Gone: func(id uint64) bool { return id < 8 }})
		p := b.peer()
		p.ID = 2
		a.tr.SetPeers([]election.Peer{p})
		if n := await(t, "notice", a.evicted); n.ID != 1 {
			t.Errorf("got %+v, want one for 1", n)
		}
	})
}

func TestNewIdentityReplacesStreams(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	introduce(a, b)
	await(t, "a's stream", a.up)
	await(t, "b's stream", b.up)
	// b was evicted and has joined again.
	b.become(Identity{Cluster: "c", RingID: "r", ID: 9, Incarnation: 102, Name: "n2"})
	a.tr.SetPeers([]election.Peer{b.peer()})
	awaitThat(t, "a's stream to 9", a.up, func(id uint64) bool { return id == 9 })
	a.tr.Send(renew(1, 9, 1))
	if m := await(t, "message", b.got); m.To != 9 {
		t.Errorf("delivered to %d, want 9", m.To)
	}
	b.tr.Send(renew(2, 1, 1)) // still under the old id: not sent
	b.tr.Send(renew(9, 1, 2))
	if m := await(t, "message", a.got); m.From != 9 || m.Renew.Seq != 2 {
		t.Errorf("got %+v, want number 2 from 9", m)
	}
}

func TestForeignNoticeOfEvictionIsIgnored(t *testing.T) {
	a, b := start(t, 1, "127.0.0.1:0", Options{}), start(t, 2, "127.0.0.1:0", Options{})
	a.tr.SetPeers([]election.Peer{b.peer()})
	await(t, "stream", a.up)
	b.tr.Send(election.Message{From: 2, To: 1, Evicted: &election.EvictedNotice{RingID: "r", ID: 4, Epoch: 3}})
	await(t, "news of the break", a.down)
	if len(a.evicted) > 0 {
		t.Errorf("node 1 takes %+v for itself", <-a.evicted)
	}
}

func TestIdleStreamMakesRoom(t *testing.T) {
	b := start(t, 2, "127.0.0.1:0", Options{})
	hello := &peerv1.StreamRequest{Body: &peerv1.StreamRequest_Hello{Hello: &peerv1.PeerHello{Cluster: "c", RingId: "r", Id: 1, Incarnation: 1, To: 2}}}
	renewal, err := peerwire.Encode(renew(1, 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	open := func(h *peerv1.StreamRequest) peerv1.PeerService_StreamClient {
		s := rawStream(t, b.addr)
		if err := s.Send(h); err != nil {
			t.Fatal(err)
		}
		if env, err := s.Recv(); err != nil || env.GetHello().GetId() != 2 {
			t.Fatalf("answer %v, %v", env, err)
		}
		return s
	}
	streams := make([]peerv1.PeerService_StreamClient, limits.PeerStreamsEach)
	for i := range streams {
		streams[i] = open(hello)
	}
	// The oldest is the one in use.
	if err := streams[0].Send(renewal); err != nil {
		t.Fatal(err)
	}
	await(t, "message", b.got)
	open(hello)
	if _, err := streams[1].Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("idle stream ended with %v, want Aborted", err)
	}
	if err := streams[0].Send(renewal); err != nil {
		t.Fatal(err)
	}
	await(t, "message on the stream in use", b.got)
}
