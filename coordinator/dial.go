package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/arc-ring/arc/internal/dial"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

const (
	// connectWait bounds a connect where the caller set no shorter bound.
	connectWait = 3 * time.Second
	// addressesMax bounds the addresses of one member, all tried at once.
	addressesMax = 16
)

// connectError says why no address could be reached.
type connectError struct{ errs []error }

func (e *connectError) Error() string {
	texts := make([]string, len(e.errs))
	for i, err := range e.errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// telling is the error without own addresses, which a member may have too, if
// anything else failed.
func (e *connectError) telling() error {
	errs := slices.DeleteFunc(slices.Clone(e.errs), func(err error) bool { return errors.Is(err, dial.ErrOwn) })
	if len(errs) == 0 {
		return e
	}
	return &connectError{errs}
}

func (e *connectError) Unwrap() []error { return e.errs }

// connectAny tries all addresses at once and returns the first connection.
func (n *node) connectAny(ctx context.Context, addresses []string) (net.Conn, error) {
	if len(addresses) == 0 {
		return nil, errors.New("no address is known")
	}
	if len(addresses) > addressesMax {
		addresses = addresses[:addressesMax]
	}
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result, len(addresses))
	for _, a := range addresses {
		go func() {
			conn, err := n.others.Net(ctx, a)
			results <- result{conn, err}
		}()
	}
	failed := &connectError{}
	for i := range addresses {
		r := <-results
		if r.err != nil {
			failed.errs = append(failed.errs, r.err)
			continue
		}
		rest := len(addresses) - i - 1
		cancel() // the others end at once, one way or the other
		for range rest {
			if late := <-results; late.conn != nil {
				_ = late.conn.Close()
			}
		}
		return r.conn, nil
	}
	return nil, failed.telling()
}

// overConn returns a gRPC client that uses this one connection and never
// dials by itself.
func overConn(conn net.Conn) (*grpc.ClientConn, error) {
	var used atomic.Bool
	return grpc.NewClient("passthrough:///"+conn.RemoteAddr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			if used.Swap(true) {
				return nil, errors.New("the connection broke")
			}
			return conn, nil
		}))
}

// dialAny returns a gRPC client to whichever of the addresses answers first,
// but never to this node. The caller closes it.
func (n *node) dialAny(ctx context.Context, addresses []string) (*grpc.ClientConn, error) {
	conn, err := n.connectAny(ctx, addresses)
	if err != nil {
		return nil, err
	}
	c, err := overConn(conn)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("set up gRPC to %s: %w", conn.RemoteAddr(), err)
	}
	return c, nil
}

// dialMember returns a gRPC client to a member of the ring, at the first of its
// addresses that leads to it. The caller closes it.
func (n *node) dialMember(ctx context.Context, m ring.Member) (*grpc.ClientConn, error) {
	wanted := n.wanted(m)
	wanted.Incarnation = 0 // whichever process the member is now
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	tries, failed := n.pingAll(ctx, m.Addresses), &connectError{}
	var reached *grpc.ClientConn
	for range cap(tries) {
		t := <-tries
		switch match := wanted.Match(t.path.Answer); {
		case t.err != nil:
			failed.errs = append(failed.errs, t.err)
		case match != ring.Elsewhere && (t.path.Answer.ID == m.ID || t.path.Answer.ID == 0) && reached == nil:
			reached = t.client
			cancel()
			continue
		default:
			failed.errs = append(failed.errs, fmt.Errorf("%s leads to %s, not to %s", t.address, t.path.Answer.Name, m.Name))
		}
		if t.client != nil {
			_ = t.client.Close()
		}
	}
	switch {
	case reached != nil:
		return reached, nil
	case len(failed.errs) == 0:
		return nil, errors.New("no address is known")
	}
	return nil, failed.telling()
}

func (n *node) wanted(m ring.Member) ring.Wanted {
	return ring.Wanted{Cluster: n.o.Cluster, RingID: n.hub.views.load().ringID, Name: m.Name, ID: m.ID, Incarnation: m.Incarnation}
}

// look tries all addresses of a process at once, each over a connection of its
// own, until one leads to it or the time is over.
func (n *node) look(ctx context.Context, wanted ring.Wanted, addresses []string, timeout time.Duration) []ring.Path {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tries := n.pingAll(ctx, addresses)
	paths := make([]ring.Path, 0, cap(tries))
	for range cap(tries) { // each ends by the timeout at the latest
		t := <-tries
		if t.client != nil {
			_ = t.client.Close()
		}
		paths = append(paths, t.path)
		if t.path.Outcome == ring.PathAnswered && wanted.Match(t.path.Answer) == ring.Itself {
			cancel()
		}
	}
	return paths
}

// try is what became of a ping to one address.
type try struct {
	address string
	path    ring.Path
	// client is that of an answer; the taker of the try closes it.
	client *grpc.ClientConn
	err    error
}

// pingAll pings all addresses at once. As many tries come as the channel has
// room for, all by the end of ctx.
func (n *node) pingAll(ctx context.Context, addresses []string) <-chan try {
	if len(addresses) > addressesMax {
		addresses = addresses[:addressesMax]
	}
	tries := make(chan try, len(addresses))
	for _, a := range addresses {
		go func() {
			t := try{address: a}
			t.client, t.path.Answer, t.err = n.pingOnce(ctx, a)
			switch {
			case t.err == nil:
				t.path.Outcome = ring.PathAnswered
				if t.path.Answer.Incarnation == n.incarnation {
					t.path = ring.Path{Outcome: ring.PathOwn}
				}
			case errors.Is(t.err, dial.ErrOwn):
				t.path.Outcome = ring.PathOwn
			case dial.Refused(t.err):
				t.path = ring.Path{Outcome: ring.PathRefused, Local: n.others.OnThisMachine(a)}
			}
			tries <- t
		}()
	}
	return tries
}

// pingOnce asks who is at an address. The caller closes the client.
func (n *node) pingOnce(ctx context.Context, address string) (client *grpc.ClientConn, a ring.Answer, err error) {
	client, err = n.dialAny(ctx, []string{address})
	if err != nil {
		return nil, a, err
	}
	defer func() {
		if err != nil {
			_ = client.Close()
			client = nil
		}
	}()
	pinging, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := arcv1.NewProbeClient(client).Probe(pinging)
	if err != nil {
		return client, a, err
	}
	if err := stream.Send(&arcv1.Ping{Seq: 1, From: n.o.Name}); err != nil {
		return client, a, err
	}
	pong, err := stream.Recv()
	if err != nil {
		return client, a, err
	}
	return client, ring.Answer{Cluster: pong.GetCluster(), RingID: pong.GetRingId(), Name: pong.GetName(), ID: pong.GetId(), Incarnation: pong.GetIncarnation()}, nil
}
