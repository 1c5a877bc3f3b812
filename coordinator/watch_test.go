package coordinator

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

func testHub() *hub {
	return newHub(func() election.Instant { return 0 }, &view{ring: &ring.State{}})
}

// Whenever a watcher subscribes, its snapshot and its events together are the
// whole story, without a gap and without a repetition.
func TestSubscriptionMissesNothing(t *testing.T) {
	const epochs = 2000
	h := testHub()
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for e := uint64(1); e <= epochs; e++ {
			h.publish(&view{ring: &ring.State{Epoch: e}}, []*arcv1.Event{{Epoch: e}})
		}
	})
	for range 50 {
		w, v, err := h.subscribe(local, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		for want := v.ring.Epoch + 1; want <= min(epochs, v.ring.Epoch+100); want++ {
			e, err := w.next(context.Background())
			if errors.Is(err, reason.ErrSlowWatcher) {
				break // it may be, on a busy machine
			}
			if err != nil || e.GetEpoch() != want {
				t.Fatalf("after a snapshot of epoch %d: event of epoch %d, %v; want %d", v.ring.Epoch, e.GetEpoch(), err, want)
			}
		}
		h.unsubscribe(w)
	}
	publisher.Wait()
}

func TestSlowWatcherIsDroppedAndTheOthersAreNot(t *testing.T) {
	h := testHub()
	slow, _, _ := h.subscribe(local, netip.Addr{})
	good, _, _ := h.subscribe(local, netip.Addr{})
	for e := range uint64(watcherQueue + 10) {
		h.publish(&view{ring: &ring.State{}}, []*arcv1.Event{{Epoch: e}})
		if got, err := good.next(context.Background()); err != nil || got.GetEpoch() != e {
			t.Fatalf("the good one got %v, %v; want epoch %d", got, err, e)
		}
	}
	for e := range uint64(watcherQueue) {
		if got, err := slow.next(context.Background()); err != nil || got.GetEpoch() != e {
			t.Fatalf("the slow one got %v, %v; want what was queued, epoch %d", got, err, e)
		}
	}
	if _, err := slow.next(context.Background()); !errors.Is(err, reason.ErrSlowWatcher) {
		t.Errorf("after its queue the slow one got %v, want ErrSlowWatcher", err)
	}
	h.unsubscribe(slow) // twice is harmless
	h.close()
	if _, err := good.next(context.Background()); !errors.Is(err, reason.ErrStopping) {
		t.Errorf("after close: %v, want ErrStopping", err)
	}
	if _, _, err := h.subscribe(local, netip.Addr{}); !errors.Is(err, reason.ErrStopping) {
		t.Errorf("subscribe after close: %v, want ErrStopping", err)
	}
}

func TestWatchersAreBounded(t *testing.T) {
	h := testHub()
	for range watchersMax {
		if _, _, err := h.subscribe(local, netip.Addr{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := h.subscribe(local, netip.Addr{}); !errors.Is(err, reason.ErrOverload) {
		t.Errorf("one more: %v, want ErrOverload", err)
	}
}

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
	term := first.GetTerm()
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
		e, err := stream.Recv()
		if err != nil {
			t.Fatalf("after token %d: %v", term, err)
		}
		switch e.GetType() {
		case "snapshot":
			snapshots++
			if members := len(e.GetDetail().GetFields()["members"].GetListValue().GetValues()); members != 3 || e.GetTerm() != term {
				t.Errorf("back with a snapshot of %d members and token %d, want 3 and %d", members, e.GetTerm(), term)
			}
		case string(ring.LeaderDeclared):
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

// A client that does not read is let go, and learns why once it reads.
func TestWatchOfAClientThatDoesNotRead(t *testing.T) {
	n := startRing(t, "n1")[0]
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stream, err := n.client.Watch(ctx, &arcv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || first.GetType() != "snapshot" {
		t.Fatalf("first event %v, %v; want a snapshot", first, err)
	}
	long, _ := structpb.NewStruct(map[string]any{"text": string(make([]byte, 4096))})
	h := n.n.hub
	for i := 0; ; i++ {
		h.publish(h.views.load(), []*arcv1.Event{{Type: "test", Node: strconv.Itoa(i), Detail: long}})
		h.mu.Lock()
		left := len(h.watchers)
		h.mu.Unlock()
		if left == 0 {
			break
		}
		if i > 1_000_000 {
			t.Fatal("the watcher is never dropped")
		}
	}
	for want := 0; ; want++ {
		e, err := stream.Recv()
		if err != nil {
			if status.Code(err) != codes.ResourceExhausted || reason.Of(err) != "SLOW_WATCHER" {
				t.Errorf("the stream ended with %v, want ResourceExhausted", err)
			}
			return
		}
		if e.GetNode() == strconv.Itoa(want) {
			continue
		}
		if want > 0 || e.GetType() == "test" { // others happen in a young ring
			t.Fatalf("event %q, want %d", e.GetNode(), want)
		}
		want--
	}
}
