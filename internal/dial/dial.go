package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/arc-ring/arc/internal/sockio"
)

const (
	// Window is the flow control window of streams and connections, in bytes.
	Window = 64 << 10
	// FirstBackoff and LongestBackoff bound the wait of a Conn between two
	// attempts.
	FirstBackoff   = 10 * time.Millisecond
	LongestBackoff = time.Second

	unixPrefix = "unix://"
	// keepAlive is how long TCP waits before it looks whether the other host
	// of a quiet connection is still there.
	keepAlive = 15 * time.Second
	// connectTimeout is what a Conn gives one attempt.
	connectTimeout = 3 * time.Second
)

var errUsed = errors.New("the connection is gone and is not dialled again")

// Conn returns a connection to the address that is dialled at the first call
// on it (or by its Connect) and again when it is lost, with a backoff of
// FirstBackoff to LongestBackoff. The options come after the defaults. It
// fails only on a bad address or option, never because nobody answers.
func Conn(addr string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return client(addr, func(ctx context.Context, _ string) (net.Conn, error) { return Net(ctx, addr) }, opts)
}

// Over returns a gRPC connection that uses this established one, made by Net,
// and is dead when that is lost. Its Close closes conn; so does an error.
func Over(conn net.Conn, addr string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	var used atomic.Bool
	cc, err := client(addr, func(context.Context, string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errUsed
		}
		return conn, nil
	}, opts)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return cc, nil
}

func client(addr string, dialer func(context.Context, string) (net.Conn, error), opts []grpc.DialOption) (*grpc.ClientConn, error) {
	authority := addr
	if strings.HasPrefix(addr, unixPrefix) {
		authority = "localhost"
	} else if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("dial %q: %w; want HOST:PORT or unix:///PATH", addr, err)
	}
	all := append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(dialer),
		grpc.WithAuthority(authority),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
		grpc.WithStaticStreamWindowSize(Window),
		grpc.WithStaticConnWindowSize(Window),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: FirstBackoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: LongestBackoff},
			MinConnectTimeout: connectTimeout,
		}),
	}, opts...)
	cc, err := grpc.NewClient("passthrough:///"+addr, all...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return cc, nil
}

// Net dials the address once, until ctx ends. Refused tells what its error
// means.
func Net(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive / 3, Count: 3}}
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, unixPrefix); ok {
		network, addr = "unix", path
	}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return sockio.New(conn), nil
}

// Refused tells whether the error of Net means that the host answers and
// nobody listens there.
func Refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT)
}
