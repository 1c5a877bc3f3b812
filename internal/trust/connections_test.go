package trust

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/testwait"
)

// A connection lasts no longer than the client's certificate. One of members does not
// depend on the time of day.
func TestAConnectionEndsWithTheClientsCertificate(t *testing.T) {
	secret := NewSecret()
	server := minted("n1", secret)
	end := time.Now().Add(time.Hour)
	h := ending(secret, Identity{"c", Operate, "o"}, end)
	for _, c := range []*Holder{h, minted("n3", secret)} {
		s := shake(t, c.Credentials(), server.Credentials())
		if s.clientErr != nil || s.serverErr != nil {
			t.Fatal(s.clientErr, s.serverErr)
		}
		if known := s.client.Role != Member; s.until.IsZero() == known || known && s.until != c.keys.Load().cert.Leaf.NotAfter {
			t.Errorf("the end of %s is known as %v", s.client, s.until)
		}
	}
	if got := server.disowned(end.Add(-time.Minute)); len(got) != 0 {
		t.Errorf("%d connections end before their certificates", len(got))
	}
	if got := server.disowned(end.Add(time.Minute)); len(got) != 1 || got[0].until.IsZero() {
		t.Errorf("%d connections end after the client's certificate, want that client's", len(got))
	}
}

// ending is a Holder whose certificate ends.
func ending(s Secret, i Identity, end time.Time) *Holder {
	h := Minted([]Secret{s}, i)
	k := *h.keys.Load()
	k.cert = deriveAuthority(s, "c").mint(i, end)
	h.keys.Store(&k)
	return h
}

// Neither the end of a connection nor an alert says that a certificate has ended. The one
// who showed it knows.
func TestAnEndedCertificateIsSaidToBeTheReason(t *testing.T) {
	for _, c := range []struct {
		role          Role
		ended, closed bool // closed: an open connection; else a new one
		want          error
	}{
		{Read, true, true, ErrEnded},
		{Read, true, false, ErrEnded},
		{Read, false, true, io.EOF},
		{Read, false, false, nil},
		{Member, true, true, io.EOF}, // a member's connection is not closed for it
		{Member, true, false, ErrEnded},
	} {
		synctest.Test(t, func(t *testing.T) {
			secret, end := NewSecret(), time.Now().Add(time.Hour)
			client, server := ending(secret, Identity{"c", c.role, "x"}, end), minted("n1", secret)
			open := shake(t, client.Credentials(), server.Credentials())
			if open.clientErr != nil || open.serverErr != nil {
				t.Fatal(open.clientErr, open.serverErr)
			}
			if c.ended {
				testwait.Virtual(time.Hour + time.Second)
			}
			var err error
			if c.closed {
				open.serverConn.Close()
				_, err = open.clientConn.Read(make([]byte, 1))
			} else {
				err = shake(t, client.Credentials(), server.Credentials()).clientErr
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%+v: %v", c, err)
			}
			if says := err != nil && strings.Contains(err.Error(), "has ended at "+end.UTC().Format(time.RFC3339)); says != (c.want == ErrEnded) {
				t.Errorf("%+v: it says %v", c, err)
			}
		})
	}
}

// wire counts what is written to it.
type wire struct {
	net.Conn
	writes int
}

func (w *wire) Write(p []byte) (int, error) {
	w.writes++
	return w.Conn.Write(p)
}

// wired are credentials whose client writes to a wire.
type wired struct {
	credentials.TransportCredentials
	*wire
}

func (w wired) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	w.wire.Conn = raw
	return w.TransportCredentials.ClientHandshake(ctx, authority, w.wire)
}

// The other end is told of a connection's end, unless it has ended it. A read that took
// too long has not.
func TestADeadConnectionIsToldNothing(t *testing.T) {
	for _, dead := range []bool{false, true} {
		secret, w := NewSecret(), &wire{}
		s := shake(t, wired{minted("n1", secret).Credentials(), w}, minted("n2", secret).Credentials())
		if s.clientErr != nil || s.serverErr != nil {
			t.Fatal(s.clientErr, s.serverErr)
		}
		if dead {
			s.serverConn.Close()
			if _, err := s.clientConn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		if !dead {
			_ = s.clientConn.SetReadDeadline(time.Now().Add(-time.Second))
			if _, err := s.clientConn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
		}
		before := w.writes
		s.clientConn.Close()
		if told := w.writes > before; told == dead {
			t.Errorf("the other end is dead: %t, and it is told the end: %t", dead, told)
		}
		s.serverConn.Close()
	}
}

// A secret may be dropped while a handshake goes on that it began.
func TestAHandshakeThatOutlivesItsSecretOpensNothing(t *testing.T) {
	old, fresh := NewSecret(), NewSecret()
	h := minted("n1", fresh)
	for _, c := range []struct {
		by    Secret
		stays bool
	}{{fresh, true}, {old, false}} {
		near, far := net.Pipe()
		defer far.Close()
		conn := h.add(near, h.keys.Load().cert.Leaf, deriveAuthority(c.by, "c").cert, time.Time{})
		if stays := conn.SetDeadline(time.Time{}) == nil; stays != c.stays {
			t.Errorf("with a secret of which %v is true it stays: %v", c.stays, stays)
		}
	}
}

// A ring's connections end one after the other when their secret is dropped. However many
// somebody has opened with it, they have all ended in a bounded time.
func TestADroppedSecretsConnectionsEndInTime(t *testing.T) {
	for _, c := range []struct {
		open int
		want time.Duration // from the first end to the last one
	}{{3, 2 * durations.TrustCut}, {1500, durations.TrustCutAll * 1499 / 1500}} {
		old, fresh := NewSecret(), NewSecret()
		path := filepath.Join(t.TempDir(), "secret")
		writeSecrets(t, path, old)
		synctest.Test(t, func(t *testing.T) {
			h, err := Open(Files{Secret: path}, member("n1"))
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan time.Time, c.open)
			for range c.open {
				near, far := net.Pipe()
				h.add(near, h.keys.Load().cert.Leaf, deriveAuthority(old, "c").cert, time.Time{})
				go func() {
					_, _ = far.Read(make([]byte, 1))
					ended <- time.Now()
				}()
			}
			writeSecrets(t, path, fresh)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go h.Watch(ctx, nil, func(bool, error) {})
			first := <-ended
			last := first
			for range c.open - 1 {
				last = <-ended
			}
			if got := last.Sub(first); got != c.want {
				t.Errorf("%d connections end within %v, want %v", c.open, got, c.want)
			}
		})
	}
}
