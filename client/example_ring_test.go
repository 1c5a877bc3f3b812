package client_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/internal/fakearc"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// exampleRing stands for the coordinator of this machine in the examples. It leads
// with one token after the other.
type exampleRing struct {
	addr string
	stop func()

	mu     sync.Mutex
	tokens []uint64
	lost   chan struct{} // closed when it hands over
}

func startRing(tokens ...uint64) *exampleRing {
	r := &exampleRing{tokens: tokens, lost: make(chan struct{})}
	dir, err := os.MkdirTemp("", "arc")
	if err != nil {
		panic(err)
	}
	path := filepath.Join(dir, client.SocketName)
	end, err := (&fakearc.Server{StatusFunc: r.status, WatchFunc: r.watch}).Serve(path)
	if err != nil {
		panic(err)
	}
	r.addr, r.stop = "unix://"+path, func() { end(); _ = os.RemoveAll(dir) }
	return r
}

// handOver loses the leadership. The next status has the next token.
func (r *exampleRing) handOver() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens = r.tokens[1:]
	close(r.lost)
	r.lost = make(chan struct{})
}

func (r *exampleRing) now() (*arcv1.StatusResponse, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &arcv1.StatusResponse{Self: "n1", SelfId: 1, Leader: &arcv1.NodeRef{Id: 1, Name: "n1"}, Term: r.tokens[0], Claiming: true, LeaseMs: 60_000}, r.lost
}

func (r *exampleRing) status(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
	st, _ := r.now()
	return st, nil
}

func (r *exampleRing) watch(_ *arcv1.WatchRequest, w grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
	st, lost := r.now()
	if err := w.Send(&arcv1.WatchResponse{Event: &arcv1.Event{Detail: &arcv1.Event_Snapshot{Snapshot: st}}}); err != nil {
		return err
	}
	select {
	case <-lost:
		return w.Send(&arcv1.WatchResponse{Event: &arcv1.Event{Node: "n1", Detail: &arcv1.Event_ClaimLost{ClaimLost: &arcv1.Claim{Term: st.GetTerm(), Why: "handing over"}}}})
	case <-w.Context().Done():
		return nil
	}
}
