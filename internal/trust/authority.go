package trust

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// The ends of time of a certificate without an end (RFC 5280, section 4.1.2.5).
var (
	always  = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	forever = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// derivedName begins the common name of a derived authority. The secret's ID follows.
const derivedName = "arc secret "

// An authority signs the certificates of a cluster. The derived one is the same on
// every node that has the secret, since Ed25519 signs without chance (RFC 8032) and
// nothing else in it is drawn.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func deriveAuthority(s Secret, cluster string) authority {
	key := ed25519.NewKeyFromSeed(s.derive("authority "+cluster, ed25519.SeedSize))
	serial := new(big.Int).SetBytes(s.derive("serial "+cluster, 8))
	keyID := sha256.Sum256(key.Public().(ed25519.PublicKey))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: derivedName + s.ID()},
		NotBefore: always, NotAfter: forever,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		SubjectKeyId: keyID[:20],
		URIs:         []*url.URL{{Scheme: "spiffe", Host: escape(cluster)}},
	}
	return authority{mustSign(template, template, key.Public(), key), key}
}

// mint makes a certificate for an identity, with a key of its own.
func (a authority) mint(i Identity, until time.Time) tls.Certificate {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // the system's random source never fails
	}
	var serial [16]byte
	_, _ = rand.Read(serial[:])
	serial[0] &= 0x7f // a positive number
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:]), Subject: pkix.Name{CommonName: string(i.Role)},
		NotBefore: always, NotAfter: until,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: usages(i.Role),
		URIs:        []*url.URL{i.uri()},
	}
	c := mustSign(template, a.cert, public, a.key)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

func usages(r Role) []x509.ExtKeyUsage {
	if r == Member {
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
}

// mustSign signs a certificate, and panics where a template cannot be signed: names
// are checked before, and all else is fixed.
func mustSign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		panic(fmt.Sprintf("sign a certificate for %v: %v", template.URIs, err))
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(fmt.Sprintf("read back a certificate for %v: %v", template.URIs, err))
	}
	return c
}
