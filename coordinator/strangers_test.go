package coordinator

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/internal/limits"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

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
		for range limits.ConnStreams / 2 {
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

// dialSocket is one more connection to the node's socket.
func (n *testNode) dialSocket() *grpc.ClientConn {
	n.t.Helper()
	cc, err := grpc.NewClient("unix://"+filepath.Join(n.o.RunDir, socketName), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// No message to a coordinator is longer than limits.Wire, by whichever way it comes, and
// a connection has few calls under way. One more waits, and a call on another
// connection does not.
func TestCallsAreSmallAndFew(t *testing.T) {
	n1 := startRing(t, "n1")[0]
	n1.awaitLeader("n1", 1)
	for way, c := range map[string]struct {
		conn, another *grpc.ClientConn
		most          int
	}{
		"over the network": {n1.dial(), n1.dial(), limits.ConnStreams},
		"over the socket":  {n1.conn, n1.dialSocket(), limits.LocalStreams},
	} {
		for size, want := range map[int]bool{limits.Wire: false, limits.Wire + 1: true, limits.Envelope: true} {
			r := &arcv1.EvictRequest{Name: strings.Repeat("x", size)}
			r.Name = r.Name[:size-(proto.Size(r)-size)]
			_, err := arcv1.NewArcServiceClient(c.conn).Evict(n1.ctx(), r)
			if refused := status.Code(err) == codes.ResourceExhausted; refused != want || proto.Size(r) != size {
				t.Errorf("%d bytes %s: %v", proto.Size(r), way, err)
			}
		}
		for range c.most {
			w, err := healthv1.NewHealthClient(c.conn).Watch(n1.ctx(), &healthv1.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(n1.ctx(), 100*time.Millisecond)
		defer cancel()
		if _, err := arcv1.NewArcServiceClient(c.conn).Status(ctx, &arcv1.StatusRequest{}); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("one call more %s: %v", way, err)
		}
		if _, err := arcv1.NewArcServiceClient(c.another).Status(n1.ctx(), &arcv1.StatusRequest{}); err != nil {
			t.Errorf("a call on another connection %s: %v", way, err)
		}
	}
}
