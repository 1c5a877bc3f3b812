package connect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/hostaddr"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/sockio"
)

const unixPrefix = "unix://"

var errUsed = errors.New("the connection is gone and is not dialled again")

// Dialer dials every node but the own one. The zero value has no own node, and
// sends in the clear.
type Dialer struct {
	// Own returns the addresses at which the own node listens, HOST:PORT; nil if it
	// listens nowhere. Others may have them too: a container bridge has the same
	// one on every host.
	Own func() []string
	// Local is the machine's addresses; nil only if Own is.
	Local *hostaddr.Table
	// Credentials are the security of all connections but those to unix sockets;
	// nil sends in the clear.
	Credentials credentials.TransportCredentials
	// Raw replaces the dial of the operating system; nil does not.
	Raw func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (d *Dialer) net(ctx context.Context, addr string) (net.Conn, error) {
	raw := d.Raw
	if raw == nil {
		os := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: durations.TCPKeepAlive, Interval: durations.TCPKeepAlive / 3, Count: 3,
		}}
		raw = os.DialContext
	}
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, unixPrefix); ok {
		network, addr = "unix", path
	}
	conn, err := raw(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return sockio.New(conn), nil
}

// Conn returns a gRPC connection to the address that is dialled at the first call
// on it (or by its Connect) and again when it is lost, with the pauses of
// durations.Healing.
// The options come after the defaults. It fails only on a bad address or option,
// never because nobody answers.
func (d *Dialer) Conn(addr string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return d.client(addr, func(ctx context.Context, _ string) (net.Conn, error) { return d.Net(ctx, addr) }, opts)
}

// Over returns a gRPC connection that uses this established one, made by Net, and
// is dead when that is lost: gRPC's own dialling, back-off and repetition never
// come into play. Its Close closes conn; so does an error.
func (d *Dialer) Over(conn net.Conn, addr string) (*grpc.ClientConn, error) {
	var used atomic.Bool
	cc, err := d.client(addr, func(context.Context, string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errUsed
		}
		return conn, nil
	}, []grpc.DialOption{grpc.WithDisableRetry()})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return cc, nil
}

func (d *Dialer) client(addr string, dial func(context.Context, string) (net.Conn, error), opts []grpc.DialOption) (*grpc.ClientConn, error) {
	authority, creds := addr, d.Credentials
	if strings.HasPrefix(addr, unixPrefix) {
		authority, creds = "localhost", nil
	} else if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("dial %q: %w; want HOST:PORT or unix:///PATH", addr, err)
	}
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	all := append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(dial),
		grpc.WithAuthority(authority),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
		grpc.WithStaticStreamWindowSize(limits.Window),
		grpc.WithStaticConnWindowSize(limits.Window),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: durations.Healing.First, Multiplier: 1.6, Jitter: 0.2, MaxDelay: durations.Healing.Longest},
			MinConnectTimeout: durations.Connect,
		}),
	}, opts...)
	cc, err := grpc.NewClient("passthrough:///"+addr, all...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return cc, nil
}

// ReasonDomain marks the ErrorInfo detail of an error that a program may want to tell
// from others of the same code.
const ReasonDomain = "arc"

// ToldReason returns the reason that a coordinator gave beside the code of a gRPC error,
// or "".
func ToldReason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == ReasonDomain {
			return info.GetReason()
		}
	}
	return ""
}

// Reason returns what the error of a dial means, or that of a call's first answer.
func Reason(err error) policy.Reason {
	switch status.Code(err) {
	case codes.FailedPrecondition, codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return policy.Rejected // it will not say otherwise if it is asked again
	}
	switch {
	case errors.Is(err, ErrOwn):
		return policy.Own
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return policy.NobodyListens
	}
	return policy.Unanswered
}
