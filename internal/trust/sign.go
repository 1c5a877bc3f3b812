package trust

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"
)

// signing separates signed statements from all else that a key signs.
const signing = "arc statement v1\x00"

// Sign returns the certificates, DER, and the signature with which others know later
// that this process made the statement.
func (h *Holder) Sign(statement []byte) (chain [][]byte, signature []byte, err error) {
	k := h.keys.Load()
	c := k.cert
	if was := h.signed.Load(); was != nil && was.by == k && bytes.Equal(was.statement, statement) {
		return c.Certificate, was.signature, nil
	}
	key, ok := c.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("%w: a key of type %T cannot sign", ErrCertificate, c.PrivateKey)
	}
	message, opts := []byte(signing+string(statement)), crypto.Hash(0)
	if _, pure := key.Public().(ed25519.PublicKey); !pure {
		sum := sha256.Sum256(message)
		message, opts = sum[:], crypto.SHA256
	}
	if signature, err = key.Sign(rand.Reader, message, opts); err != nil {
		return nil, nil, fmt.Errorf("sign with the key of %s: %w", h.self, err)
	}
	h.signed.Store(&signed{k, statement, signature})
	return c.Certificate, signature, nil
}

// signed is the newest signature: the same is said to many, and what will be said in a
// hurry can be signed before.
type signed struct {
	by                   *keys
	statement, signature []byte
}

// Signed returns who signed a statement, if that one's certificate is believed now. It
// may be of any cluster and role.
func (h *Holder) Signed(statement []byte, chain [][]byte, signature []byte) (Identity, error) {
	var certs []*x509.Certificate
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return Identity{}, err
		}
		certs = append(certs, c)
	}
	id, _, err := h.keys.Load().verify(certs, x509.ExtKeyUsageClientAuth, time.Now())
	if err != nil {
		return Identity{}, err
	}
	algorithm := map[x509.PublicKeyAlgorithm]x509.SignatureAlgorithm{
		x509.Ed25519: x509.PureEd25519, x509.ECDSA: x509.ECDSAWithSHA256, x509.RSA: x509.SHA256WithRSA,
	}[certs[0].PublicKeyAlgorithm]
	if err := certs[0].CheckSignature(algorithm, []byte(signing+string(statement)), signature); err != nil {
		return Identity{}, fmt.Errorf("the signature is not the certificate's: %w", err)
	}
	return id, nil
}
