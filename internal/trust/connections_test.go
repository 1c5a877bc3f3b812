package trust

import (
	"net"
	"testing"
	"time"
)

// A connection lasts no longer than the client's certificate. One of members does not
// depend on the time of day.
func TestAConnectionEndsWithTheClientsCertificate(t *testing.T) {
	secret := NewSecret()
	server := minted("n1", secret)
	end := time.Now().Add(time.Hour)
	client := *minted("n2", secret).keys.Load()
	client.cert = deriveAuthority(secret, "c").mint(Identity{"c", Operate, "o"}, end)
	h := minted("n2", secret)
	h.keys.Store(&client)
	for _, c := range []*Holder{h, minted("n3", secret)} {
		if s := shake(t, c.Credentials(), server.Credentials()); s.clientErr != nil || s.serverErr != nil {
			t.Fatal(s.clientErr, s.serverErr)
		}
	}
	if got := server.disowned(end.Add(-time.Minute)); len(got) != 0 {
		t.Errorf("%d connections end before their certificates", len(got))
	}
	if got := server.disowned(end.Add(time.Minute)); len(got) != 1 || got[0].until.IsZero() {
		t.Errorf("%d connections end after the client's certificate, want that client's", len(got))
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
		conn := h.conns.add(h, near, deriveAuthority(c.by, "c").cert, time.Time{})
		if stays := conn.SetDeadline(time.Time{}) == nil; stays != c.stays {
			t.Errorf("with a secret of which %v is true it stays: %v", c.stays, stays)
		}
	}
}
