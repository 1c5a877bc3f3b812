package coordinator

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// perConn is how many calls a connection over the network has under way at
// most.
const perConn = 16

// A member is heard, the local socket answers and a local watcher finds room
// although strangers hold as many connections, streams and watches as they can.
func TestStrangersLockNobodyOut(t *testing.T) {
	nodes := startRing(t, "n1", "n2")
	n1 := nodes[0]
	ctx := n1.ctx()
	for range 300 { // idle connections
		c, err := net.Dial("tcp", n1.address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	for range 40 { // streams that never say hello, and watchers
		cc, err := grpc.NewClient(n1.address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cc.Close() })
		for range perConn / 2 {
			_, _ = peerv1.NewPeerServiceClient(cc).Stream(ctx)
			if w, err := arcv1.NewArcServiceClient(cc).Watch(ctx, &arcv1.WatchRequest{}); err == nil {
				go func() { _, _ = w.Recv() }()
			}
		}
	}
	w, err := n1.client.Watch(ctx, &arcv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Recv(); err != nil {
		t.Errorf("a watcher on the local socket: %v", err)
	}
	// A third member comes in, through the crowd.
	o := testOptions(t, "n3")
	o.Join = []string{n1.address()}
	start(t, o).awaitLeader("n1", 3)
	if v := n1.n.hub.Load(); v.ClaimTerm == 0 || len(v.Ring.Members) != 3 {
		t.Errorf("n1 claims %v with %d members", v.ClaimTerm, len(v.Ring.Members))
	}
}

// No message to a coordinator has more than 64 KiB, by whichever way it comes, and a
// connection over the network has few calls under way.
func TestCallsAreSmallAndFew(t *testing.T) {
	n1 := startRing(t, "n1")[0]
	n1.awaitLeader("n1", 1)
	cc := n1.dial()
	for way, conn := range map[string]*grpc.ClientConn{"over the network": cc, "over the socket": n1.conn} {
		for size, want := range map[int]bool{63 << 10: false, 64 << 10: true, 8 << 20: true} {
			_, err := arcv1.NewArcServiceClient(conn).Evict(n1.ctx(), &arcv1.EvictRequest{Name: strings.Repeat("x", size)})
			if refused := status.Code(err) == codes.ResourceExhausted; refused != want {
				t.Errorf("%d bytes %s: %v", size, way, err)
			}
		}
	}
	for range perConn {
		w, err := arcv1.NewArcServiceClient(cc).Watch(n1.ctx(), &arcv1.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(n1.ctx(), 100*time.Millisecond)
	defer cancel()
	if _, err := arcv1.NewArcServiceClient(cc).Status(ctx, &arcv1.StatusRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("one call more on that connection: %v", err)
	}
	if _, err := arcv1.NewArcServiceClient(n1.dial()).Status(n1.ctx(), &arcv1.StatusRequest{}); err != nil {
		t.Errorf("a call on another one: %v", err)
	}
}
