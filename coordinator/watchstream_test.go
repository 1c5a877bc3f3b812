package coordinator

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// The stream of a member that is evicted and comes back: tokens rise along it,
// and one snapshot stands for what it missed.
func TestWatchAcrossARejoin(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	ctx := nodes[0].ctx()
	if _, err := nodes[0].client.Handover(ctx, &arcv1.HandoverRequest{Name: "n3"}); err != nil {
		t.Fatal(err)
	}
	nodes[1].awaitLeader("n3", 3)
	stream, err := nodes[1].client.Watch(ctx, &arcv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	term := first.GetEvent().GetTerm()
	if _, err := nodes[0].client.Evict(ctx, &arcv1.EvictRequest{Name: "n2"}); err != nil {
		t.Fatal(err)
	}
	nodes[1].await("n2 as member 4", func(st *arcv1.StatusResponse) bool { return st.GetSelfId() == 4 && len(st.GetMembers()) == 3 })
	h, err := nodes[0].client.Handover(ctx, &arcv1.HandoverRequest{Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	snapshots := 0
	for term < h.GetTerm() {
		r, err := stream.Recv()
		if err != nil {
			t.Fatalf("after token %d: %v", term, err)
		}
		e := r.GetEvent()
		switch e.GetDetail().(type) {
		case *arcv1.Event_Snapshot:
			snapshots++
			if members := len(e.GetSnapshot().GetMembers()); members != 3 || e.GetTerm() != term {
				t.Errorf("back with a snapshot of %d members and token %d, want 3 and %d", members, e.GetTerm(), term)
			}
		case *arcv1.Event_LeaderDeclared:
			if e.GetTerm() <= term {
				t.Errorf("token %d after %d", e.GetTerm(), term)
			}
			term = e.GetTerm()
		}
	}
	if snapshots != 1 {
		t.Errorf("%d more snapshots, want 1", snapshots)
	}
}

// A watcher that was there before the first membership hears of its ring event by
// event: no snapshot stands for what it did not miss.
func TestWatchFromBeforeTheFirstMembership(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0") // for a port that nobody has
	if err != nil {
		t.Fatal(err)
	}
	address := lis.Addr().(*net.TCPAddr)
	_ = lis.Close()
	o := testOptions(t, "n2")
	o.Join = []string{address.String()}
	n2 := start(t, o)
	stream, err := n2.client.Watch(n2.ctx(), &arcv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // the snapshot of no ring
		t.Fatal(err)
	}
	o = testOptions(t, "n1")
	o.Bootstrap, o.Port = true, address.Port
	start(t, o)
	for {
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		switch e := r.GetEvent(); e.GetDetail().(type) {
		case *arcv1.Event_Snapshot:
			t.Fatalf("a snapshot comes again: %v", e)
		case *arcv1.Event_Joined:
			if e.GetNode() == "n2" {
				return
			}
		}
	}
}

// A client that does not read is let go, and learns why once it reads.
func TestWatchOfAClientThatDoesNotRead(t *testing.T) {
	n := startRing(t, "n1")[0]
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stream, err := n.client.Watch(ctx, &arcv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || first.GetEvent().GetSnapshot() == nil {
		t.Fatalf("first event %v, %v; want a snapshot", first, err)
	}
	long := &arcv1.Event_MonitorLost{MonitorLost: &arcv1.MonitorLost{Why: string(make([]byte, 4096))}}
	h := n.n.hub
	for i := range 20_000 { // more than the queue and all windows take
		h.Publish(h.Load(), []*arcv1.Event{{Node: strconv.Itoa(i), Detail: long}})
	}
	for want := 0; ; want++ {
		r, err := stream.Recv()
		if err != nil {
			if status.Code(err) != codes.ResourceExhausted || reason.Of(err) != "SLOW_WATCHER" {
				t.Errorf("the stream ended with %v, want ResourceExhausted", err)
			}
			return
		}
		e := r.GetEvent()
		if e.GetNode() == strconv.Itoa(want) {
			continue
		}
		if want > 0 || e.GetMonitorLost() != nil { // others happen in a young ring
			t.Fatalf("event %q, want %d", e.GetNode(), want)
		}
		want--
	}
}
