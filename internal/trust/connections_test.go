package trust

import (
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
