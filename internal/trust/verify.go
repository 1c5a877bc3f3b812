package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
)

// verify returns who a chain of certificates is for, and which of the authorities
// vouches for it. Anybody can show a chain: what it costs is bounded by limits.Chain,
// and no key checks a signature before an authority has vouched for it.
func (k *keys) verify(chain []*x509.Certificate, use x509.ExtKeyUsage, now time.Time) (Identity, *x509.Certificate, error) {
	if len(chain) == 0 {
		return Identity{}, nil, errors.New("no certificate was shown")
	}
	if len(chain) > limits.Chain {
		return Identity{}, nil, fmt.Errorf("%d certificates were shown, at most %d are taken", len(chain), limits.Chain)
	}
	chains, err := chain[0].Verify(x509.VerifyOptions{
		Roots: k.roots, Intermediates: poolOf(k.vouched(chain[1:])), KeyUsages: []x509.ExtKeyUsage{use}, CurrentTime: now,
	})
	if err != nil {
		return Identity{}, nil, k.hint(chain[0], err)
	}
	id, err := identityOf(chain[0])
	return id, chains[0][len(chains[0])-1], err
}

// vouched are those of the certificates that an authority vouches for, itself or by
// others of them.
func (k *keys) vouched(between []*x509.Certificate) (good []*x509.Certificate) {
	by := k.authorities
	for len(by) > 0 {
		var next, rest []*x509.Certificate
		for _, c := range between {
			if slices.ContainsFunc(by, func(a *x509.Certificate) bool {
				return bytes.Equal(c.RawIssuer, a.RawSubject) && c.CheckSignatureFrom(a) == nil
			}) {
				next = append(next, c)
			} else {
				rest = append(rest, c)
			}
		}
		good, by, between = append(good, next...), next, rest
	}
	return good
}

// hint names the secrets where a certificate is signed with one that is not here.
// Of the stranger's secret it repeats what the stranger claims.
func (k *keys) hint(c *x509.Certificate, err error) error {
	var unknown x509.UnknownAuthorityError
	theirs, derived := strings.CutPrefix(c.Issuer.CommonName, derivedName)
	if !errors.As(err, &unknown) || !derived {
		return err
	}
	var ours []string
	for _, a := range k.authorities {
		id, derived := strings.CutPrefix(a.Subject.CommonName, derivedName)
		switch {
		case derived && id == theirs:
			id, _ := identityOf(c)
			return fmt.Errorf("it is of another cluster with the same secret %s: of %s; --cluster has to be the same at both ends", theirs, foreign.Quote(id.Cluster))
		case derived:
			ours = append(ours, id)
		}
	}
	if len(ours) == 0 {
		return err
	}
	return fmt.Errorf("it is made with secret %s, this process has %s: %w", foreign.Text(foreign.Brief(theirs)), strings.Join(ours, ", "), err)
}

// A Proof is what a TLS connection shows about its other end.
type Proof struct {
	credentials.CommonAuthInfo
	Identity Identity
	// Until is the end of a client's certificate; zero for a member.
	Until time.Time
}

// AuthType is credentials.AuthInfo's.
func (Proof) AuthType() string { return "arc" }

// Of returns who is at the other end of a call's or a stream's connection, and
// false where that is not proven: over a unix socket, or in the clear.
func Of(ctx context.Context) (Identity, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Identity{}, false
	}
	proof, ok := p.AuthInfo.(Proof)
	return proof.Identity, ok
}
