package service

import (
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/transport"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/monotime"
	"github.com/arc-ring/arc/internal/trust"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

// pingsTaken is how many pings the event loop of these tests takes.
const pingsTaken = 64

// pingedLoop is an event loop that never runs.
type pingedLoop struct {
	Loop
	pings chan election.Ping
}

func (l *pingedLoop) Stuck() time.Duration { return 0 }

func (l *pingedLoop) Pinged(p election.Ping) bool {
	select {
	case l.pings <- p:
		return true
	default:
		return false
	}
}

// The watcher's grant is with the event loop before the pong leaves, from a
// moment before that, and the pong does not wait for a loop that is busy. A
// ping that cannot be handed over is not answered.
func TestAGrantIsHandedOverBeforeItsPong(t *testing.T) {
	n, stream := probed(t)
	settings := profile(t, "lan")
	l := &pingedLoop{pings: make(chan election.Ping, pingsTaken)}
	n.o.Loop = func() Loop { return l }
	leads := &publish.View{ID: 1, RingID: "r", Ring: &ring.State{RingID: "r", Term: 7, Settings: settings}, ClaimTerm: 7, ClaimEnd: election.Never}
	n.o.Hub.Publish(leads, nil)

	ask := func(p *peerv1.ProbeRequest) {
		t.Helper()
		if err := stream.Send(p); err != nil {
			t.Fatal(err)
		}
	}
	answer := func(seq uint64) *peerv1.ProbeResponse {
		t.Helper()
		pong, err := stream.Recv()
		if err != nil || pong.GetSeq() != seq || pong.GetTerm() != 7 || pong.GetId() != 1 || pong.GetIncarnation() != n.o.Incarnation {
			t.Fatalf("pong %v, %v; want number %d", pong, err, seq)
		}
		return pong
	}
	began := n.o.Clock()
	ask(&peerv1.ProbeRequest{Seq: 1, FromId: 5, Grant: 1 << 60, GrantUs: 350_000})
	if name := answer(1).GetName(); name != "n1" {
		t.Errorf("the first pong is of %q", name)
	}
	ended := n.o.Clock()
	if len(l.pings) != 1 {
		t.Fatalf("%d pings wait for the loop when the pong is here, want 1", len(l.pings))
	}
	p := <-l.pings
	if p.At < began || p.At > ended {
		t.Errorf("the pong is said to have left at %v, it was between %v and %v", p.At, began, ended)
	}
	p.At = 0
	if want := (election.Ping{From: 5, Seq: 1, Grant: 1 << 60, Length: 350 * time.Millisecond}); p != want {
		t.Errorf("handed over %+v, want %+v", p, want)
	}

	// Nothing is handed over without a grant; with one everything is,
	// also while another member leads: the same probe may come again by another path once this node does.
	ask(&peerv1.ProbeRequest{Seq: 2, FromId: 5})
	if name := answer(2).GetName(); name != "" {
		t.Errorf("the name is told again: %q", name)
	}
	follows := *leads
	follows.ClaimTerm = 0
	n.o.Hub.Publish(&follows, nil)
	ask(&peerv1.ProbeRequest{Seq: 3, FromId: 5, Grant: 1 << 60, Ack: 1})
	answer(3)
	n.o.Hub.Publish(leads, nil)
	if len(l.pings) != 1 {
		t.Fatalf("%d pings handed over, want 1", len(l.pings))
	}
	if p := <-l.pings; p.Seq != 3 {
		t.Errorf("handed over %+v, want number 3", p)
	}

	// More than the inbox holds: those beyond are not answered.
	for seq := range uint64(pingsTaken + 5) {
		ask(&peerv1.ProbeRequest{Seq: 10 + seq, FromId: 5, Grant: 1 << 60})
	}
	for seq := range uint64(pingsTaken) {
		answer(10 + seq)
	}
	ask(&peerv1.ProbeRequest{Seq: 1000, FromId: 5})
	answer(1000)
}

// A member's grant comes from that member alone, on the first ping of a stream, which
// says whom it is for, and on those that follow.
func TestAGrantIsTakenFromItsMemberAlone(t *testing.T) {
	secrets := []trust.Secret{trust.NewSecret()}
	as := func(name string) *trust.Holder {
		return trust.Minted(secrets, trust.Identity{Cluster: "arc", Role: trust.Member, Name: name})
	}
	for name, want := range map[string]int{"n5": 2, "n6": 0} {
		n, stream := probedAs(t, as("n1"), as(name))
		l := &pingedLoop{pings: make(chan election.Ping, pingsTaken)}
		n.o.Loop = func() Loop { return l }
		members := []ring.Member{{ID: 5, Name: "n5"}, {ID: 6, Name: "n6"}}
		n.o.Hub.Publish(&publish.View{ID: 1, RingID: "r", Ring: &ring.State{RingID: "r", Members: members, Settings: profile(t, "lan")}}, nil)
		for _, p := range []*peerv1.ProbeRequest{
			{Seq: 1, To: 1, RingId: "r", FromId: 5, Grant: 1 << 60, GrantUs: 350_000},
			{Seq: 2, FromId: 5, Grant: 1 << 60, GrantUs: 350_000, Ack: 1},
			{Seq: 3, FromId: 7, Grant: 1 << 60, GrantUs: 350_000, Ack: 2}, // of nobody
		} {
			if err := stream.Send(p); err != nil {
				t.Fatal(err)
			}
			if pong, err := stream.Recv(); err != nil || pong.GetSeq() != p.GetSeq() {
				t.Fatalf("%s: pong %v, %v; want number %d", name, pong, err, p.GetSeq())
			}
		}
		if got := len(l.pings); got != want {
			t.Errorf("%d grants of n5 were taken from %s, want %d", got, name, want)
		}
	}
}

// probed is a node of which nothing runs but the Probe service, and a stream to
// that, in the clear.
func probed(b testing.TB) (*Servers, peerv1.ProbeService_ProbeClient) {
	b.Helper()
	return probedAs(b, nil, nil)
}

// probedAs is probed with keys for both ends.
func probedAs(b testing.TB, server, client *trust.Holder) (*Servers, peerv1.ProbeService_ProbeClient) {
	b.Helper()
	n := testServers(monotime.Now)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	n.door = newDoor(n.o.Log, budgetsFor(1024), n.memberHosts, thisMachine)
	opts, dialer := transport.ServerOptions(), &connect.Dialer{}
	if server != nil {
		opts = append(opts, grpc.Creds(server.Credentials()))
		dialer.Credentials = client.Credentials()
	}
	g := grpc.NewServer(opts...)
	peerv1.RegisterProbeServiceServer(g, n)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = g.Serve(doorListener{lis, n.door, stranger})
	}()
	b.Cleanup(func() { g.Stop(); <-served })
	cc, err := dialer.Conn(lis.Addr().String(), grpc.WithDisableRetry())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cc.Close() })
	stream, err := peerv1.NewProbeServiceClient(cc).Probe(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return n, stream
}

// BenchmarkProbe is one ping and its pong over TCP: the service's share, and a
// client that does nothing else.
func BenchmarkProbe(b *testing.B) {
	_, stream := probed(b)
	ping, pong := &peerv1.ProbeRequest{FromId: 2, Grant: 1 << 60, GrantUs: 7000}, &peerv1.ProbeResponse{}
	b.ReportAllocs()
	for b.Loop() {
		ping.Ack = ping.Seq
		ping.Seq++
		if err := stream.SendMsg(ping); err != nil {
			b.Fatal(err)
		}
		if err := stream.RecvMsg(pong); err != nil || pong.GetSeq() != ping.GetSeq() {
			b.Fatalf("pong %v, %v", pong, err)
		}
	}
}
