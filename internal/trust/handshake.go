package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"syscall"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
)

// Credentials are the Holder's for gRPC: mutual TLS 1.3, at both ends. A server
// takes each role of its own cluster, and a client only members for servers.
func (h *Holder) Credentials() credentials.TransportCredentials { return creds{h} }

type creds struct{ h *Holder }

func (c creds) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}
func (c creds) Clone() credentials.TransportCredentials { return c }

// OverrideServerName is credentials.TransportCredentials'. No host name is checked.
func (c creds) OverrideServerName(string) error { return nil }

func (c creds) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c.h.shake(ctx, raw, tls.Client, x509.ExtKeyUsageServerAuth)
}

func (c creds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	// gRPC closes raw when its time for this is over.
	conn, info, err := c.h.shake(context.Background(), raw, tls.Server, x509.ExtKeyUsageClientAuth)
	if err != nil && c.h.Refused != nil {
		c.h.Refused(raw.RemoteAddr(), err)
	}
	return conn, info, err
}

func (h *Holder) shake(ctx context.Context, raw net.Conn, side func(net.Conn, *tls.Config) *tls.Conn, use x509.ExtKeyUsage) (net.Conn, credentials.AuthInfo, error) {
	k := h.keys.Load()
	var id Identity
	var root *x509.Certificate
	var until time.Time
	bounded := &meter{Conn: raw, left: limits.Handshake}
	conn := side(bounded, &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		// Both flights stay smaller than any MTU with it. A post-quantum exchange
		// would keep secret for decades who leads, which is soon worth nothing.
		CurvePreferences: []tls.CurveID{tls.X25519},
		ClientAuth:       tls.RequireAnyClientCert,
		// A client is asked for it after it has seen the server's, so an operator's
		// knows by then which cluster it is for.
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &k.cert, nil },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &k.cert, nil },
		// A certificate names no host. VerifyConnection checks chain and name.
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) (err error) {
			// Of this very moment: keys may have changed since the handshake began.
			trusted := h.keys.Load()
			if h.self.Cluster == "" {
				if trusted, err = h.keysFor(s.PeerCertificates); err == nil {
					k = trusted
				}
			}
			if err == nil {
				id, root, err = trusted.verify(s.PeerCertificates, use, time.Now())
			}
			if err == nil {
				err = h.check(id, use)
			}
			if err == nil && id.Role != Member {
				until = s.PeerCertificates[0].NotAfter
			}
			if err != nil {
				return fmt.Errorf("%w of the other end is refused: %w", ErrCertificate, err)
			}
			return nil
		},
	})
	err := conn.HandshakeContext(ctx)
	bounded.left = math.MaxInt
	if err == nil && conn.ConnectionState().NegotiatedProtocol != "h2" {
		err = errors.New("the other end does not speak HTTP/2")
	}
	if err != nil {
		_ = raw.Close()
		return nil, nil, h.explain(err, k.cert.Leaf)
	}
	return h.add(conn, k.cert.Leaf, root, until), Proof{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}, id, until}, nil
}

// errLong: the other end sent too much before it was known.
var errLong = fmt.Errorf("the other end sent more than %d bytes in the handshake", limits.Handshake)

// meter bounds what is read of a connection. A byte that comes alone costs about as much
// as shortRead of them together.
type meter struct {
	net.Conn
	left int
}

const shortRead = 64

// Read is net.Conn's.
func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errLong
	}
	n, err := m.Conn.Read(p[:min(len(p), m.left)])
	m.left -= max(n, shortRead)
	return n, err
}

// check refuses those whose certificate is good and who have no business here.
func (h *Holder) check(id Identity, use x509.ExtKeyUsage) error {
	switch {
	case h.self.Cluster != "" && id.Cluster != h.self.Cluster:
		return fmt.Errorf("it is of cluster %s, this is cluster %s", foreign.Quote(id.Cluster), foreign.Quote(h.self.Cluster))
	case use == x509.ExtKeyUsageServerAuth && id.Role != Member:
		return fmt.Errorf("%s is no member", id)
	}
	return nil
}

// ErrClear: the other end of a connection does not speak TLS.
var ErrClear = errors.New("no TLS")

// ErrEnded: the certificate that this end shows has ended.
var ErrEnded = errors.New("has ended")

// explain says in words what an error of a TLS connection means to an operator. own is
// the certificate that this end showed. An alert does not say that it has ended, and an
// open connection is closed without one then, unless it is a member's.
func (h *Holder) explain(err error, own *x509.Certificate) error {
	var remote *net.OpError
	var header tls.RecordHeaderError
	alert := errors.As(err, &remote) && remote.Op == "remote error"
	closed := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
	switch {
	case time.Now().After(own.NotAfter) && (alert || closed && h.self.Role != Member):
		return fmt.Errorf("%w of this end, %s, %w at %s: %w", ErrCertificate, h.self, ErrEnded, own.NotAfter.Format(time.RFC3339), err)
	case alert:
		end := ""
		if !own.NotAfter.Equal(forever) { // the other end's clock may be ahead
			end = " It ends at " + own.NotAfter.Format(time.RFC3339)
		}
		return fmt.Errorf("%w of this end is refused: %w; do both ends have the same secret, or authority, and cluster?%s", ErrCertificate, err, end)
	case errors.As(err, &header):
		return fmt.Errorf("%w: %w; does the other end run with --insecure?", ErrClear, err)
	}
	return err
}
