package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
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

func (e *connectError) Unwrap() []error { return e.errs }

// connectAny tries all addresses at once and returns the first connection.
func connectAny(ctx context.Context, addresses []string) (net.Conn, error) {
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
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", a)
			results <- result{conn, err}
		}()
	}
	failed := &connectError{}
	for n := range addresses {
		r := <-results
		if r.err != nil {
			failed.errs = append(failed.errs, r.err)
			continue
		}
		rest := len(addresses) - n - 1
		cancel() // the others end at once, one way or the other
		for range rest {
			if late := <-results; late.conn != nil {
				_ = late.conn.Close()
			}
		}
		return r.conn, nil
	}
	return nil, failed
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

// dialMember returns a gRPC client to whichever of the addresses answers
// first. The caller closes it.
func dialMember(ctx context.Context, addresses []string) (*grpc.ClientConn, error) {
	conn, err := connectAny(ctx, addresses)
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

// probeMember tries all addresses at once, each over a connection of its own,
// and returns the first pong, or what its absence means.
func probeMember(ctx context.Context, from string, addresses []string, timeout time.Duration) (election.ProbeOutcome, *arcv1.Pong) {
	if len(addresses) == 0 {
		return election.Unanswered, nil
	}
	if len(addresses) > addressesMax {
		addresses = addresses[:addressesMax]
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	type result struct {
		pong *arcv1.Pong
		err  error
	}
	results := make(chan result, len(addresses))
	for _, a := range addresses {
		go func() {
			pong, err := pingOnce(ctx, from, a)
			results <- result{pong, err}
		}()
	}
	var pong *arcv1.Pong
	refused := 0
	for range addresses { // each ends by the timeout at the latest
		r := <-results
		switch {
		case r.err == nil && pong == nil:
			pong = r.pong
			cancel()
		case errors.Is(r.err, unix.ECONNREFUSED):
			refused++
		}
	}
	switch {
	case pong != nil:
		return election.Answered, pong
	case refused == len(addresses):
		return election.NobodyListens, nil
	default:
		return election.Unanswered, nil
	}
}

func pingOnce(ctx context.Context, from, address string) (*arcv1.Pong, error) {
	client, err := dialMember(ctx, []string{address})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	stream, err := arcv1.NewProbeClient(client).Probe(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&arcv1.Ping{Seq: 1, From: from}); err != nil {
		return nil, err
	}
	return stream.Recv()
}
