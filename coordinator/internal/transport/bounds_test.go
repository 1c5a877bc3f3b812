package transport

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/testwait"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// wordless is a peer's stream on which nothing ever comes.
type wordless struct {
	peerv1.PeerService_StreamServer
	ctx context.Context
}

func (w wordless) Context() context.Context { return w.ctx }

func (w wordless) Recv() (*peerv1.StreamRequest, error) { <-w.ctx.Done(); return nil, w.ctx.Err() }

// Streams that say nothing take room, but no more than there is, and for no longer than
// a hello may take.
func TestStreamsOfPeersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := bare(Options{Self: func() Identity { return Identity{Cluster: "c", RingID: "r", ID: 1, Name: "n1"} }})
		ctx, cancel := context.WithCancel(t.Context())
		var streams sync.WaitGroup
		for range limits.PeerStreams {
			streams.Go(func() {
				if err := tr.ServeStream(wordless{ctx: ctx}); status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("a stream that says nothing ended with %v", err)
				}
			})
		}
		synctest.Wait()
		if err := tr.ServeStream(wordless{ctx: ctx}); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("one stream more: %v", err)
		}
		streams.Wait()
		cancel()
		tr.Close()
	})
}

// However many addresses stay silent, so many are tried at once, and no more.
func TestTriesAtOnePeerAreBounded(t *testing.T) {
	var pending, most atomic.Int32
	silent := func(ctx context.Context) error {
		most.Store(max(most.Load(), pending.Add(1)))
		defer pending.Add(-1)
		return silence(ctx)
	}
	dials(t, limits.PeerTries+1, silent, nil, func(*Transport) { testwait.Virtual(10 * time.Second) })
	if n := most.Load(); n != limits.PeerTries {
		t.Errorf("%d tries at once, want %d", n, limits.PeerTries)
	}
}

// While too many tries for all peers together are under way, none is repeated before it
// has failed.
func TestACrowdOfTriesIsNotRepeated(t *testing.T) {
	for others, repeated := range map[int]bool{limits.CrowdedTries - 1: true, limits.CrowdedTries: false} {
		at := dials(t, 1, silence, nil, func(tr *Transport) {
			tr.tries.Add(int32(others)) // beside its own
			testwait.Virtual(dialRules.Overlap * 5)
		})
		if got := len(at) > 1; got != repeated {
			t.Errorf("beside %d tries at others, %d were made in five rounds", others, len(at))
		}
	}
}
