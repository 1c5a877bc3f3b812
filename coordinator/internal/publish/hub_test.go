package publish

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/limits"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

func testHub() *Hub {
	return NewHub(func() election.Instant { return 0 }, &View{Ring: &ring.State{}})
}

// Whenever a subscriber subscribes, its snapshot and its events together are the
// whole story, without a gap and without a repetition.
func TestSubscriptionMissesNothing(t *testing.T) {
	const epochs = 2000
	h := testHub()
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for e := uint64(1); e <= epochs; e++ {
			h.Publish(&View{Ring: &ring.State{Epoch: e}}, []*arcv1.Event{{Epoch: e}})
		}
	})
	for range 50 {
		w, v, err := h.Subscribe(false, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		for want := v.Ring.Epoch + 1; want <= min(epochs, v.Ring.Epoch+100); want++ {
			e, err := w.Next(context.Background())
			if errors.Is(err, reason.ErrSlowWatcher) {
				break // it may be, on a busy machine
			}
			if err != nil || e.GetEpoch() != want {
				t.Fatalf("after a snapshot of epoch %d: event of epoch %d, %v; want %d", v.Ring.Epoch, e.GetEpoch(), err, want)
			}
		}
		h.Unsubscribe(w)
	}
	publisher.Wait()
}

func TestSlowWatcherIsDroppedAndTheOthersAreNot(t *testing.T) {
	h := testHub()
	slow, _, _ := h.Subscribe(false, netip.Addr{})
	good, _, _ := h.Subscribe(false, netip.Addr{})
	for e := range uint64(subscriberQueue + 10) {
		h.Publish(&View{Ring: &ring.State{}}, []*arcv1.Event{{Epoch: e}})
		if got, err := good.Next(context.Background()); err != nil || got.GetEpoch() != e {
			t.Fatalf("the good one got %v, %v; want epoch %d", got, err, e)
		}
	}
	for e := range uint64(subscriberQueue) {
		if got, err := slow.Next(context.Background()); err != nil || got.GetEpoch() != e {
			t.Fatalf("the slow one got %v, %v; want what was queued, epoch %d", got, err, e)
		}
	}
	if _, err := slow.Next(context.Background()); !errors.Is(err, reason.ErrSlowWatcher) {
		t.Errorf("after its queue the slow one got %v, want ErrSlowWatcher", err)
	}
	h.Unsubscribe(slow) // twice is harmless
	h.Close()
	if _, err := good.Next(context.Background()); !errors.Is(err, reason.ErrStopping) {
		t.Errorf("after close: %v, want ErrStopping", err)
	}
	if _, _, err := h.Subscribe(false, netip.Addr{}); !errors.Is(err, reason.ErrStopping) {
		t.Errorf("subscribe after close: %v, want ErrStopping", err)
	}
}

// Watchers of this machine and strangers are bounded apart, and those of one address.
func TestWatchersAreBounded(t *testing.T) {
	h := testHub()
	subscribe := func(foreign bool, host string, n int) {
		t.Helper()
		at := netip.MustParseAddr(host)
		for range n {
			if _, _, err := h.Subscribe(foreign, at); err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := h.Subscribe(foreign, at)
		if !errors.Is(err, reason.ErrOverload) || !strings.Contains(err.Error(), fmt.Sprint(n)) && foreign && host != "10.0.0.3" {
			t.Errorf("one more of %s: %v, want ErrOverload with the number", host, err)
		}
	}
	subscribe(true, "10.0.0.1", limits.HostSubscribers)
	subscribe(true, "10.0.0.2", limits.StrangerSubscribers-limits.HostSubscribers)
	subscribe(true, "10.0.0.3", 0)
	subscribe(false, "127.0.0.1", limits.Subscribers)
}
