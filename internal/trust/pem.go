package trust

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Issue returns a client's certificate as one PEM text: the certificate, its key,
// and the authorities of all secrets, by which the client knows members. The newest
// secret signs, if it is known: the others are dropped before it.
func Issue(secrets []Secret, i Identity, until time.Time) ([]byte, error) {
	var b bytes.Buffer
	a := deriveAuthority(Signer(secrets), i.Cluster)
	c := a.mint(i, until)
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	blocks := []*pem.Block{{Type: certBlock, Bytes: c.Leaf.Raw}, {Type: "PRIVATE KEY", Bytes: key}}
	for _, s := range secrets {
		blocks = append(blocks, &pem.Block{Type: certBlock, Bytes: deriveAuthority(s, i.Cluster).cert.Raw})
	}
	for _, block := range blocks {
		if err := pem.Encode(&b, block); err != nil {
			return nil, fmt.Errorf("encode the certificate: %w", err)
		}
	}
	return b.Bytes(), nil
}

const certBlock = "CERTIFICATE"

// OpenClient reads a client's certificate from one PEM file: its certificate, its
// key and the authorities that it believes, in this order. Others than the file's owner
// must not be able to read or write it. The client's cluster is the certificate's.
func OpenClient(path string) (*Holder, error) {
	bad := func(err error) (*Holder, error) {
		return nil, fmt.Errorf("%w %s: %w; `arc secret issue` makes one", ErrCertificate, path, err)
	}
	text, err := readPEM(path)
	if err != nil {
		return bad(err)
	}
	if err := checkMode(ErrCertificate, path, false); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return bad(err)
	}
	id, err := identityOf(pair.Leaf)
	if err != nil {
		return bad(err)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return bad(fmt.Errorf("it ended at %s", pair.Leaf.NotAfter.Format(time.RFC3339)))
	}
	all, err := parseCerts(text)
	if err != nil {
		return bad(err)
	}
	k := &keys{cert: tls.Certificate{Certificate: pair.Certificate[:1], PrivateKey: pair.PrivateKey, Leaf: pair.Leaf}}
	for _, c := range all {
		if c.IsCA {
			k.authorities = append(k.authorities, c)
		}
	}
	if len(k.authorities) == 0 {
		return bad(errors.New("it has no authority to know members by"))
	}
	k.roots = poolOf(k.authorities)
	h := &Holder{self: id}
	h.keys.Store(k)
	return h, nil
}

// parseCerts returns all certificates of a PEM text.
func parseCerts(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != certBlock {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no PEM certificate in it")
	}
	return all, nil
}
