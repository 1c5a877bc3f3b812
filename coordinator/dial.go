package coordinator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

// dialAny returns a gRPC client to whichever of the addresses answers first,
// but never to this node. The caller closes it.
func (n *node) dialAny(ctx context.Context, addresses []string) (*grpc.ClientConn, error) {
	ctx, cancel := context.WithTimeout(ctx, durations.Connect)
	defer cancel()
	return n.dialer.First(ctx, atMost(addresses))
}

// dialMember returns a gRPC client to a member of the ring, at the first of its
// addresses that leads to it. The caller closes it.
func (n *node) dialMember(ctx context.Context, m ring.Member) (*grpc.ClientConn, error) {
	// Whichever process the member is now.
	wanted := ring.Wanted{Cluster: n.o.Cluster, RingID: n.hub.Load().RingID, Name: m.Name, ID: m.ID}
	ctx, cancel := context.WithTimeout(ctx, durations.Connect)
	defer cancel()
	r, err := connect.Race(ctx, atMost(m.Addresses), func(ctx context.Context, addr string) (reached, error) {
		r, err := n.ping(ctx, addr)
		if err == nil && (wanted.Match(r.answer) == ring.Elsewhere || r.answer.ID != m.ID && r.answer.ID != 0) {
			r.close()
			return r, fmt.Errorf("%s leads to %s, not to %s", addr, r.answer.Name, m.Name)
		}
		return r, err
	}, reached.close)
	return r.client, err
}

// look tries all addresses of a process at once, each over a connection of its
// own, until one leads to it or the time is over.
func (n *node) look(ctx context.Context, wanted ring.Wanted, addresses []string, timeout time.Duration) []ring.Path {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var mu sync.Mutex
	var paths []ring.Path
	r, err := connect.Race(ctx, atMost(addresses), func(ctx context.Context, addr string) (reached, error) {
		r, err := n.ping(ctx, addr)
		mu.Lock()
		paths = append(paths, n.pathOf(addr, r.answer, err))
		mu.Unlock()
		if err == nil && wanted.Match(r.answer) != ring.Itself {
			r.close()
			return r, fmt.Errorf("%s leads to %s", addr, r.answer.Name)
		}
		return r, err
	}, reached.close)
	if err == nil {
		r.close()
	}
	return paths
}

// pathOf is what a ping to an address tells of it.
func (n *node) pathOf(addr string, a ring.Answer, err error) ring.Path {
	switch reason := connect.Reason(err); {
	case err == nil:
		return ring.Path{Outcome: ring.PathAnswered, Answer: a}
	case reason == policy.Own:
		return ring.Path{Outcome: ring.PathOwn}
	case reason == policy.NobodyListens:
		return ring.Path{Outcome: ring.PathRefused, Local: n.dialer.OnThisMachine(addr)}
	}
	return ring.Path{}
}

// reached is a coordinator that answered, over a connection of its own.
type reached struct {
	client *grpc.ClientConn
	answer ring.Answer
}

func (r reached) close() { _ = r.client.Close() } // nothing is under way on it

// ping asks who is at an address. The caller closes what was reached.
func (n *node) ping(ctx context.Context, addr string) (r reached, err error) {
	r.client, err = n.dialAny(ctx, []string{addr})
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	pinging, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := peerv1.NewProbeServiceClient(r.client).Probe(pinging)
	if err != nil {
		return r, err
	}
	if err := stream.Send(&peerv1.ProbeRequest{Seq: 1, From: n.o.Name}); err != nil {
		return r, err
	}
	pong, err := stream.Recv()
	if err != nil {
		return r, err
	}
	if proof, proven := trust.Of(stream.Context()); proven && pong.GetName() != proof.Name {
		return r, fmt.Errorf("%s says that it is %s, its certificate is for %s", addr, foreign.Quote(pong.GetName()), proof)
	}
	r.answer = ring.Answer{Cluster: pong.GetCluster(), RingID: pong.GetRingId(), Name: pong.GetName(), ID: pong.GetId(), Incarnation: pong.GetIncarnation()}
	if r.answer.Incarnation == n.incarnation {
		return r, fmt.Errorf("dial %s: %w", addr, connect.ErrOwn)
	}
	return r, nil
}

// atOnce calls f for each of all, for at most limits.Questions of them at once. It
// returns when all calls have.
func atOnce[T any](all []T, f func(T)) {
	var calls sync.WaitGroup
	slots := make(chan struct{}, limits.Questions)
	for _, x := range all {
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			f(x)
		})
	}
	calls.Wait()
}

// atMost bounds the addresses that are tried at once.
func atMost(addresses []string) []string {
	return addresses[:min(len(addresses), limits.Addresses)]
}
