package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/limits"
)

// under makes an authority that another one signed, or that stands for itself. Other
// than a derived one it may have others under it.
func under(t *testing.T, by *authority, name string) authority {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: always, NotAfter: forever,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: public[:20],
	}
	if by == nil {
		by = &authority{template, key}
	}
	return authority{mustSign(template, by.cert, public, by.key), key}
}

// A key of a slow kind takes milliseconds to check a signature, and a stranger could
// show a hundred of them.
func TestNoKeyOfAStrangerChecksASignature(t *testing.T) {
	stranger := under(t, nil, "s")
	leaf := under(t, &stranger, "leaf").cert
	h := minted("n1", NewSecret())
	chain := []*x509.Certificate{leaf, under(t, nil, "s").cert, under(t, nil, "s").cert}
	_, _, err := h.keys.Load().verify(chain, x509.ExtKeyUsageClientAuth, time.Now())
	// The standard library names the last key that it tried in vain.
	if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) || strings.Contains(err.Error(), "candidate") {
		t.Errorf("got %v", err)
	}
}

func TestAChainIsVouchedForInAnyOrder(t *testing.T) {
	root := under(t, nil, "r")
	one := under(t, &root, "one")
	two := under(t, &one, "two")
	leaf := two.mint(member("n2"), forever).Leaf
	k := &keys{roots: poolOf([]*x509.Certificate{root.cert}), authorities: []*x509.Certificate{root.cert}}
	for _, between := range [][]*x509.Certificate{{two.cert, one.cert}, {one.cert, two.cert}, {two.cert, one.cert, root.cert}} {
		id, by, err := k.verify(append([]*x509.Certificate{leaf}, between...), x509.ExtKeyUsageClientAuth, time.Now())
		if err != nil || id != member("n2") || !by.Equal(root.cert) {
			t.Errorf("%v: %v, %v", id, by, err)
		}
	}
	fake := under(t, nil, "one") // of the same name
	if got := k.vouched([]*x509.Certificate{fake.cert, one.cert, two.cert}); !slices.Equal(got, []*x509.Certificate{one.cert, two.cert}) {
		t.Errorf("%d are vouched for", len(got))
	}
	chain := []*x509.Certificate{leaf, two.cert, one.cert, root.cert}
	for len(chain) <= limits.Chain {
		chain = append(chain, root.cert)
	}
	if _, _, err := k.verify(chain, x509.ExtKeyUsageClientAuth, time.Now()); err == nil || !strings.Contains(err.Error(), "at most 4") {
		t.Errorf("%d certificates: %v", len(chain), err)
	}
	if _, _, err := k.verify(chain[:limits.Chain], x509.ExtKeyUsageClientAuth, time.Now()); err != nil {
		t.Errorf("%d certificates: %v", limits.Chain, err)
	}
}

// counted counts what is read of a connection.
type counted struct {
	net.Conn
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n += n
	return n, err
}

// A stranger's part of a handshake is decoded before it is refused, so it is short.
func TestAHandshakeIsShort(t *testing.T) {
	secret := NewSecret()
	for name, c := range map[string]struct {
		size int
		long bool
	}{"short": {limits.Handshake / 2, false}, "long": {limits.Handshake, true}} {
		h := Minted([]Secret{secret}, member("n2"))
		k := *h.keys.Load()
		a := deriveAuthority(secret, "c")
		big := under(t, &a, strings.Repeat("x", c.size))
		k.cert.Certificate = append(slices.Clone(k.cert.Certificate), big.cert.Raw)
		h.keys.Store(&k)
		raw, other := net.Pipe()
		in := &counted{Conn: raw}
		go func() {
			defer other.Close()
			conn, _, err := h.Credentials().ClientHandshake(t.Context(), "", other)
			if err == nil {
				_, _ = conn.Write(make([]byte, 2*limits.Handshake))
			}
		}()
		conn, _, err := minted("n1", secret).Credentials().ServerHandshake(in)
		if errors.Is(err, errLong) != c.long || (err == nil) == c.long || c.long && in.n != limits.Handshake {
			t.Errorf("%s: %v after %d bytes", name, err, in.n)
		}
		if err != nil {
			continue
		}
		// A connection that is let in may carry more.
		for got := 0; got < 2*limits.Handshake; {
			n, err := conn.Read(make([]byte, 4096))
			if got += n; err != nil {
				t.Fatalf("%s: %v after %d bytes", name, err, got)
			}
		}
	}
}

// A byte that comes alone costs as much as many together.
func TestAHandshakeOfSingleBytesIsShorter(t *testing.T) {
	raw, other := net.Pipe()
	defer other.Close()
	go func() {
		for {
			if _, err := other.Write([]byte{0}); err != nil {
				return
			}
		}
	}()
	defer raw.Close()
	m, n := &meter{Conn: raw, left: limits.Handshake}, 0
	for {
		k, err := m.Read(make([]byte, 64))
		if n += k; err != nil {
			if want := limits.Handshake / shortRead; !errors.Is(err, errLong) || n != want {
				t.Errorf("%v after %d bytes, want %d", err, n, want)
			}
			return
		}
	}
}
