package trust

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/plainfile"
)

// Files are where a process's keys are.
type Files struct {
	// Secret is the secret file, "" for none.
	Secret string
	// Cert, Key and Authority are PEM files of an operator's own authority; all
	// three or none.
	Cert, Key, Authority string
}

// Own reports whether an operator's own authority takes the place of the derived one.
func (f Files) Own() bool { return f.Cert != "" || f.Key != "" || f.Authority != "" }

// A Holder has the keys of one process, as its files had them when they were last
// read. It keeps an eye on the connections made with them.
type Holder struct {
	files Files
	self  Identity
	// Refused, if it is set before the Holder is used, is told of each connection
	// to this process that is not let in, on the connection's goroutine.
	Refused func(from net.Addr, err error)

	keys   atomic.Pointer[keys]
	signed atomic.Pointer[signed]
	reload sync.Mutex
	conns  connections
}

// keys are what a Holder has read. They are never modified.
type keys struct {
	read  [][]byte // of each file
	cert  tls.Certificate
	roots *x509.CertPool
	// authorities are the certificates in roots.
	authorities []*x509.Certificate
	seals       Seals
	secrets     []Secret
}

// Open reads the files. The identity is the process's own.
func Open(files Files, self Identity) (*Holder, error) {
	h := &Holder{files: files, self: self}
	if _, err := h.Reload(); err != nil {
		return nil, err
	}
	return h, nil
}

// Minted makes a Holder of secrets that were read already, and are not read again.
func Minted(secrets []Secret, self Identity) *Holder {
	h := &Holder{self: self}
	h.keys.Store(derived(secrets, self))
	return h
}

// OpenOperator reads the secret file for somebody who has it and operates a ring of
// whichever cluster: its certificate is minted when the server has shown its own.
func OpenOperator(path, name string) (*Holder, error) {
	secrets, err := ReadSecrets(path)
	if err != nil {
		return nil, err
	}
	return Minted(secrets, Identity{Role: Operate, Name: name}), nil
}

// keysFor are an operator's keys for the cluster that a server claims to be of. An
// authority that is derived for a claim proves it.
func (h *Holder) keysFor(chain []*x509.Certificate) (*keys, error) {
	if len(chain) == 0 {
		return nil, errors.New("no certificate was shown")
	}
	id, err := identityOf(chain[0])
	if err != nil {
		return nil, err
	}
	k := derived(h.keys.Load().secrets, Identity{id.Cluster, h.self.Role, h.self.Name})
	// The server believes one of the secrets, most likely the one of its certificate.
	for _, s := range k.secrets {
		if a := deriveAuthority(s, id.Cluster); chain[0].CheckSignatureFrom(a.cert) == nil {
			k.cert = a.mint(Identity{id.Cluster, h.self.Role, h.self.Name}, forever)
		}
	}
	return k, nil
}

// Seals are those of the present secrets.
func (h *Holder) Seals() Seals { return h.keys.Load().seals }

// Self is who the process is.
func (h *Holder) Self() Identity { return h.self }

// Secrets are the IDs of the present secrets, the first one in use.
func (h *Holder) Secrets() []string { return IDs(h.keys.Load().secrets) }

// Reload reads the files again and reports whether they changed. With an error the
// keys stay as they are. Watch closes the connections of authorities that are no longer
// there.
func (h *Holder) Reload() (changed bool, err error) {
	h.reload.Lock()
	defer h.reload.Unlock()
	read, err := h.files.read()
	if err != nil {
		return false, err
	}
	if old := h.keys.Load(); old != nil && slices.EqualFunc(read, old.read, bytes.Equal) {
		return false, nil
	}
	k, err := h.keysOf(read)
	if err != nil {
		return false, err
	}
	h.keys.Store(k)
	return true, nil
}

// read returns what is in the files, nil for one that is not named.
func (f Files) read() ([][]byte, error) {
	all := make([][]byte, 4)
	for i, path := range []string{f.Secret, f.Cert, f.Key, f.Authority} {
		if path == "" {
			continue
		}
		read := readPEM // a certificate is often a link to the newest one; a secret is not
		switch i {
		case 0:
			read = readSecretFile
		case 2:
			read = readKey
		}
		var err error
		if all[i], err = read(path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// keysOf makes keys of what was read.
func (h *Holder) keysOf(read [][]byte) (k *keys, err error) {
	var secrets []Secret
	if h.files.Secret != "" {
		if secrets, err = parseSecretFile(h.files.Secret, read[0]); err != nil {
			return nil, err
		}
	}
	if h.files.Own() {
		if k, err = h.own(read[1], read[2], read[3]); err != nil {
			return nil, err
		}
		k.seals, k.secrets = newSeals(secrets, h.self.Cluster), secrets
	} else {
		k = derived(secrets, h.self)
	}
	k.read = read
	return k, nil
}

func derived(secrets []Secret, self Identity) *keys {
	k := &keys{seals: newSeals(secrets, self.Cluster), secrets: secrets, roots: x509.NewCertPool()}
	for i, s := range secrets {
		a := deriveAuthority(s, self.Cluster)
		k.roots.AddCert(a.cert)
		k.authorities = append(k.authorities, a.cert)
		if i == 0 {
			k.cert = a.mint(self, forever)
		}
	}
	return k
}

// ErrCertificate: a certificate, its key or its authority cannot be used.
var ErrCertificate = errors.New("certificate")

// own makes keys of an operator's certificate.
func (h *Holder) own(cert, key, authority []byte) (*keys, error) {
	f := h.files
	if f.Cert == "" || f.Key == "" || f.Authority == "" {
		return nil, fmt.Errorf("%w: of the files of one's own certificate, key and authority all three have to be given, got %q, %q and %q", ErrCertificate, f.Cert, f.Key, f.Authority)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%w %s with key %s: %w", ErrCertificate, f.Cert, f.Key, err)
	}
	id, err := identityOf(pair.Leaf)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w %s: %w; this node needs %s", ErrCertificate, f.Cert, err, h.self)
	case id != h.self:
		return nil, fmt.Errorf("%w %s is for %s; this node needs %s", ErrCertificate, f.Cert, id, h.self)
	}
	size := 0
	for _, der := range pair.Certificate {
		size += len(der)
	}
	if most := limits.Handshake / 2; size > most { // the rest is for what TLS itself says
		return nil, fmt.Errorf("%w %s has %d bytes with its chain, at most %d are taken", ErrCertificate, f.Cert, size, most)
	}
	k := &keys{cert: pair}
	if k.authorities, err = parseCerts(authority); err != nil {
		return nil, fmt.Errorf("%w of the authority %s: %w", ErrCertificate, f.Authority, err)
	}
	k.roots = poolOf(k.authorities)
	for _, use := range usages(h.self.Role) {
		if _, _, err := k.verify(chainOf(pair), use, time.Now()); err != nil {
			return nil, fmt.Errorf("%w %s is not accepted by %s: %w", ErrCertificate, f.Cert, f.Authority, err)
		}
	}
	return k, nil
}

// errEnds: an operator's certificate ends soon, or has ended.
var errEnds = errors.New("replace the certificate")

// ends says that an operator's certificate ends soon. It is late when a quarter of its
// time is left, for those who replace it often.
func (h *Holder) ends(now time.Time) error {
	if !h.files.Own() {
		return nil
	}
	c := h.keys.Load().cert.Leaf
	left, verb := c.NotAfter.Sub(now), "ends"
	if left > min(durations.TrustEnds, c.NotAfter.Sub(c.NotBefore)/4) {
		return nil
	}
	if left < 0 {
		verb = "has ended"
	}
	return fmt.Errorf("%w %s: it %s at %s", errEnds, h.files.Cert, verb, c.NotAfter.Format(time.RFC3339))
}

func poolOf(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}

// chainOf is a key pair's chain, as a peer gets it. It was read by X509KeyPair.
func chainOf(pair tls.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{pair.Leaf}
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil { // a broken one vouches for nothing
			chain = append(chain, c)
		}
	}
	return chain
}

func readKey(path string) ([]byte, error) {
	text, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	return text, checkMode(fmt.Errorf("%w's key", ErrCertificate), path, true)
}

func readPEM(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > limits.SecretFile) {
		err = fmt.Errorf("%s: %w, a regular file of at most %d bytes", path, plainfile.ErrOther, limits.SecretFile)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
