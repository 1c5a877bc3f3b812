package client

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/foreign"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Client talks to one coordinator. It connects at the first call and again
// whenever the connection is lost.
type Client struct {
	addr string
	conn *grpc.ClientConn
	arc  arcv1.ArcServiceClient

	// dialErr is why there is no connection on which the coordinator spoke; nil: there
	// is one.
	dialErr atomic.Pointer[error]

	closed context.Context // ended by Close, before it ends the connection
	shut   func() error    // carries Close out, once
}

// Option changes how a Client connects.
type Option func(*options)

type options struct{ certificate, secret string }

// WithCertificate shows the certificate in a file that `arc secret issue` made.
// Its role says what it allows. It counts over TCP; the unix socket needs none.
func WithCertificate(file string) Option { return func(o *options) { o.certificate = file } }

// WithSecret shows a certificate that is made of the cluster's secret file. It
// allows everything that an operator may do. The file is read once: a Client that is
// to outlive the secret's replacement has to be made again.
func WithSecret(file string) Option { return func(o *options) { o.secret = file } }

// New returns a client of the coordinator at addr: unix:///path/arc.sock or
// host:port, see DefaultAddr. Without an option a host:port is spoken with in the
// clear. It does not connect; the error wraps ErrBadAddr or ErrCertificate.
func New(addr string, opts ...Option) (*Client, error) {
	var o options
	for _, set := range opts {
		set(&o)
	}
	target, err := parseAddr(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadAddr, err)
	}
	closed, end := context.WithCancel(context.Background())
	c := &Client{addr: addr, closed: closed}
	c.shut = sync.OnceValue(func() error {
		end()
		return c.conn.Close()
	})
	c.dialErr.Store(&errNotConnected)
	d := &connect.Dialer{}
	if !strings.HasPrefix(target, unixPrefix) {
		if d.Credentials, err = o.credentials(c); err != nil {
			return nil, err
		}
	}
	c.conn, err = d.Conn(target,
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return c.dial(ctx, d, target) }),
		grpc.WithAuthority("arc"),
	)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadAddr, foreign.Quote(addr), err)
	}
	c.arc = arcv1.NewArcServiceClient(c.conn)
	return c, nil
}

// Close ends the connection and all calls in flight. Those and all later ones
// return ErrClosed. A second Close does nothing and returns what the first did.
func (c *Client) Close() error { return c.shut() }

// call runs one unary RPC and explains its error. A server's word always comes
// with a header or a trailer; a broken transport's never does.
func call[Req, Resp any](ctx context.Context, c *Client, op string, rpc func(context.Context, Req, ...grpc.CallOption) (Resp, error), req Req) (Resp, error) {
	if err := c.refuse(ctx, op); err != nil {
		var none Resp
		return none, err
	}
	var head, trail metadata.MD
	resp, err := rpc(ctx, req, grpc.Header(&head), grpc.Trailer(&trail))
	return resp, c.explain(ctx, op, err, len(head)+len(trail) > 0)
}

// Status tells the ring as the coordinator knows it.
func (c *Client) Status(ctx context.Context) (*arcv1.StatusResponse, error) {
	return call(ctx, c, "status", c.arc.Status, &arcv1.StatusRequest{})
}

// FullStatus is Status with what only the leader knows, if it answers in time.
func (c *Client) FullStatus(ctx context.Context) (*arcv1.StatusResponse, error) {
	return call(ctx, c, "status", c.arc.Status, &arcv1.StatusRequest{AskLeader: true})
}

// History tells the newest limit leaderships, oldest first; 0 means all that
// are kept.
func (c *Client) History(ctx context.Context, limit uint32) (*arcv1.HistoryResponse, error) {
	return call(ctx, c, "history", c.arc.History, &arcv1.HistoryRequest{Limit: limit})
}

// Relink makes the coordinator's monitor dial its neighbour afresh, or probe
// the named member for d, at most until the ring's next epoch. If d is 0, the
// coordinator decides for how long.
func (c *Client) Relink(ctx context.Context, target string, d time.Duration) (*arcv1.RelinkResponse, error) {
	return call(ctx, c, "relink", c.arc.Relink, &arcv1.RelinkRequest{Target: target, ForMs: uint64(max(d.Milliseconds(), 0))})
}

// Handover gives the leadership to the named member, or to the heir if name is
// empty. It returns when the new leader has declared itself.
func (c *Client) Handover(ctx context.Context, name string) (*arcv1.HandoverResponse, error) {
	return call(ctx, c, "handover", c.arc.Handover, &arcv1.HandoverRequest{Name: name})
}

// Leave takes the coordinator out of the ring.
func (c *Client) Leave(ctx context.Context) (*arcv1.LeaveResponse, error) {
	return call(ctx, c, "leave", c.arc.Leave, &arcv1.LeaveRequest{})
}

// Evict removes a member that is known to be gone.
func (c *Client) Evict(ctx context.Context, name string) (*arcv1.EvictResponse, error) {
	return call(ctx, c, "evict", c.arc.Evict, &arcv1.EvictRequest{Name: name})
}

// Forget drops a former member from the list of those who departed.
func (c *Client) Forget(ctx context.Context, name string) (*arcv1.ForgetResponse, error) {
	return call(ctx, c, "forget", c.arc.Forget, &arcv1.ForgetRequest{Name: name})
}

// Settings returns the committed cluster-wide settings.
func (c *Client) Settings(ctx context.Context) (*arcv1.GetSettingsResponse, error) {
	return call(ctx, c, "config get", c.arc.GetSettings, &arcv1.GetSettingsRequest{})
}

// SetSettings changes cluster-wide settings, all or none. Keys are the field
// names of arcv1.Settings.
func (c *Client) SetSettings(ctx context.Context, changes map[string]string) (*arcv1.SetSettingsResponse, error) {
	return call(ctx, c, "config set", c.arc.SetSettings, &arcv1.SetSettingsRequest{Changes: changes})
}
