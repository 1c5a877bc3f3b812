package trust

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/arc-ring/arc/internal/foreign"
)

// A Role is what the holder of a certificate may do.
type Role string

const (
	// Member is a node's coordinator or its monitor: it may do everything.
	Member Role = "member"
	// Operate may look and change the ring.
	Operate Role = "operate"
	// Session is a program's: it may look.
	Session Role = "session"
	// Read may look.
	Read Role = "read"
)

// ClientRoles are those that `arc secret issue` gives.
var ClientRoles = []Role{Read, Operate, Session}

// An Identity is who a certificate is for.
type Identity struct {
	Cluster string
	Role    Role
	Name    string
}

// String returns the SPIFFE ID.
func (i Identity) String() string { return i.uri().String() }

func (i Identity) uri() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: escape(i.Cluster), Path: "/" + string(i.Role) + "/" + escape(i.Name)}
}

// escape writes a name with the characters of a SPIFFE ID, and others as =XX. A
// host name in a certificate has no empty label.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		plain := c == '-' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if c == '.' {
			plain = i > 0 && i < len(name)-1 && name[i-1] != '.'
		}
		if plain {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// unescape is what escape was given, if the text is what escape writes.
func unescape(text string) (name string, ok bool) {
	var b strings.Builder
	for rest := text; rest != ""; {
		if rest[0] != '=' {
			b.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		c, err := hex.DecodeString(rest[1:min(len(rest), 3)])
		if err != nil || len(c) != 1 {
			return "", false
		}
		b.WriteByte(c[0])
		rest = rest[3:]
	}
	name = b.String()
	return name, escape(name) == text
}

var errNoIdentity = errors.New("it has no URI name of the form spiffe://CLUSTER/ROLE/NAME")

// identityOf reads a certificate's identity. The certificate is a stranger's
// until its chain has been verified.
func identityOf(c *x509.Certificate) (Identity, error) {
	if len(c.URIs) != 1 {
		return Identity{}, fmt.Errorf("%w: it has %d URI names", errNoIdentity, len(c.URIs))
	}
	u := c.URIs[0]
	role, name, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	i := Identity{Role: Role(role)}
	var cluster, named bool
	i.Cluster, cluster = unescape(u.Host)
	i.Name, named = unescape(name)
	switch {
	case !cluster || !named || u.String() != i.String(): // an authority may compare texts
		return Identity{}, fmt.Errorf("%w: %s", errNoIdentity, foreign.Quote(u.String()))
	case i.Role != Member && !slices.Contains(ClientRoles, i.Role):
		return Identity{}, fmt.Errorf("%w: unknown role %s", errNoIdentity, foreign.Quote(role))
	}
	if err := errors.Join(foreign.CheckName("cluster", i.Cluster), foreign.CheckName("name", i.Name)); err != nil {
		return Identity{}, fmt.Errorf("%w: %w", errNoIdentity, err)
	}
	return i, nil
}
