package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/trust"
)

// credentials are what the options ask for; nil to speak in the clear.
func (o *options) credentials(c *Client) (credentials.TransportCredentials, error) {
	var h *trust.Holder
	var err error
	switch {
	case o.certificate != "":
		h, err = trust.OpenClient(o.certificate)
	case o.secret != "":
		host, _ := os.Hostname() // it is a name for the log of the coordinator
		h, err = trust.OpenOperator(o.secret, fmt.Sprintf("uid-%d@%s", os.Geteuid(), cmp.Or(host, "unknown")))
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return noted{connect.Noted{TransportCredentials: h.Credentials(), Failed: func(err error) { c.dialErr.Store(&err) }}, c}, nil
}

// noted are credentials whose failures the client remembers.
type noted struct {
	connect.Noted
	c *Client
}

func (n noted) Clone() credentials.TransportCredentials { return n }

func (n noted) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := n.Noted.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	return &refusable{conn, n.c}, info, nil
}

// refusable notes that the coordinator refuses the certificate: it does so when the
// client has done its part of the handshake.
type refusable struct {
	net.Conn
	c *Client
}

func (r *refusable) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	if errors.Is(err, trust.ErrCertificate) {
		r.c.dialErr.Store(&err)
	}
	return n, err
}

// Write returns why the coordinator ended the connection, if it said so before that.
func (r *refusable) Write(b []byte) (int, error) {
	n, err := r.Conn.Write(b)
	if err == nil {
		return n, nil
	}
	_ = r.SetReadDeadline(time.Now().Add(durations.LastWord))
	if _, why := r.Read(make([]byte, 1)); errors.Is(why, trust.ErrCertificate) {
		err = why
	}
	return n, err
}

func (c *Client) dial(ctx context.Context, d *connect.Dialer, target string) (net.Conn, error) {
	if err := notForeign(target); err != nil {
		c.dialErr.Store(&err)
		return nil, err
	}
	// The error of the dial before this one says more, and stays.
	c.dialErr.CompareAndSwap(nil, &errNotConnected)
	conn, err := d.Net(ctx, target)
	if err != nil {
		c.dialErr.Store(&err)
		return nil, err
	}
	c.dialErr.Store(&errNoGreeting)
	return &greeted{Conn: conn, heard: func(first byte) {
		if d.Credentials == nil && first == tlsAlert && !strings.HasPrefix(target, unixPrefix) {
			c.dialErr.Store(&errSecured)
		} else {
			c.dialErr.Store(nil)
		}
	}}, nil
}

// greeted tells when the first bytes arrive: the kernel completes a connection
// also to a process that is stopped, so connecting alone proves nothing.
type greeted struct {
	net.Conn
	once sync.Once
	// heard is told the first byte. A connection that ends without any is taken for
	// an alert: Go's TLS sends none to a client that does not speak TLS.
	heard func(first byte)
}

// tlsAlert begins a TLS alert (RFC 8446, section 5.1); no HTTP/2 frame of a server's
// first ones begins so: they are shorter than 2^20 bytes.
const tlsAlert = 21

func (g *greeted) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	switch {
	case n > 0:
		g.once.Do(func() { g.heard(b[0]) })
	case err != nil && !errors.Is(err, net.ErrClosed): // not closed by this client
		g.once.Do(func() { g.heard(tlsAlert) })
	}
	return n, err
}
