package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/plainfile"
)

func member(name string) Identity { return Identity{"c", Member, name} }

func minted(name string, secrets ...Secret) *Holder { return Minted(secrets, member(name)) }

// shaken is the outcome of a handshake over loopback.
type shaken struct {
	client, server       Identity  // as the other end sees each
	until                time.Time // of the client, as the server sees it
	clientErr, serverErr error
	clientConn           net.Conn
	serverConn           net.Conn
}

// shake lets a client with one Holder and a server with another one meet, and
// exchange a byte each way.
func shake(t *testing.T, client, server credentials.TransportCredentials) (s shaken) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := lis.Accept()
		if err != nil {
			s.serverErr = err
			return
		}
		conn, info, err := server.ServerHandshake(raw)
		if s.serverErr = err; err != nil {
			raw.Close()
			return
		}
		s.serverConn = conn
		if p, ok := info.(Proof); ok {
			s.client, s.until = p.Identity, p.Until
		}
		_, s.serverErr = conn.Write([]byte{1})
	}()
	raw, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, info, err := client.ClientHandshake(t.Context(), "", raw)
	if err == nil {
		s.clientConn = conn
		s.server = info.(Proof).Identity
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil {
		raw.Close()
	}
	s.clientErr = err
	<-done
	t.Cleanup(func() {
		for _, c := range []net.Conn{s.clientConn, s.serverConn} {
			if c != nil {
				c.Close()
			}
		}
	})
	return s
}

func TestMembersOfOneSecretKnowEachOther(t *testing.T) {
	secret := NewSecret()
	s := shake(t, minted("n1", secret).Credentials(), minted("n2", secret).Credentials())
	if s.clientErr != nil || s.serverErr != nil {
		t.Fatal(s.clientErr, s.serverErr)
	}
	if s.client != member("n1") || s.server != member("n2") {
		t.Errorf("they took each other for %v and %v", s.client, s.server)
	}
	state := s.clientConn.(*connection).Conn.(*tls.Conn).ConnectionState()
	if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" || state.DidResume {
		t.Errorf("version %x, protocol %q, resumed %v", state.Version, state.NegotiatedProtocol, state.DidResume)
	}
}

func TestStrangersAreRefusedOnBothSides(t *testing.T) {
	ours, theirs := NewSecret(), NewSecret()
	us := minted("n1", ours)
	reader := Minted([]Secret{ours}, Identity{"c", Read, "r"})
	for name, c := range map[string]struct {
		client, server *Holder
		want           string
	}{
		"another secret":                   {minted("n2", theirs), us, theirs.ID()},
		"another cluster":                  {Minted([]Secret{ours}, Identity{"d", Member, "n2"}), us, "another cluster"},
		"a client that serves":             {us, reader, "incompatible key usage"},
		"a server with another secret":     {us, minted("n2", theirs), theirs.ID()},
		"a client of a dropped secret":     {minted("n2", theirs, ours), us, theirs.ID()},
		"a server that believes only ours": {us, minted("n2", theirs, ours), theirs.ID()},
	} {
		var told error
		c.server.Refused = func(_ net.Addr, err error) { told = err }
		s := shake(t, c.client.Credentials(), c.server.Credentials())
		if s.clientErr == nil || s.serverErr == nil {
			t.Errorf("%s: client %v, server %v", name, s.clientErr, s.serverErr)
			continue
		}
		if told == nil || told.Error() != s.serverErr.Error() {
			t.Errorf("%s: the server was told %v, its error is %v", name, told, s.serverErr)
		}
		if both := s.clientErr.Error() + s.serverErr.Error(); !strings.Contains(both, c.want) || !strings.Contains(both, "refuse") {
			t.Errorf("%s: %v; %v", name, s.clientErr, s.serverErr)
		}
	}
}

func TestAnAuthorityOfTheSameNameIsNone(t *testing.T) {
	// A stranger who knows everything but the secret: same names, same serial.
	ours := NewSecret()
	real := deriveAuthority(ours, "c")
	fake := deriveAuthority(NewSecret(), "c")
	fake.cert.Subject, fake.cert.RawSubject, fake.cert.SubjectKeyId = real.cert.Subject, real.cert.RawSubject, real.cert.SubjectKeyId
	h := Minted([]Secret{ours}, member("n2"))
	k := *h.keys.Load()
	k.cert = fake.mint(member("n2"), forever)
	h.keys.Store(&k)
	if s := shake(t, h.Credentials(), minted("n1", ours).Credentials()); s.serverErr == nil {
		t.Error("it was let in")
	}
}

// A name in a stranger's certificate reaches an error, and so the log, cut.
func TestARefusalOfLongNamesIsShort(t *testing.T) {
	ours := NewSecret()
	fake := deriveAuthority(NewSecret(), "c")
	fake.cert.RawSubject, fake.cert.Subject.CommonName = nil, derivedName+strings.Repeat("x", 10_000)
	h := Minted([]Secret{ours}, member("n2"))
	k := *h.keys.Load()
	k.cert = fake.mint(member("n2"), forever)
	h.keys.Store(&k)
	s := shake(t, h.Credentials(), minted("n1", ours).Credentials())
	if s.serverErr == nil || !strings.Contains(s.serverErr.Error(), "made with secret xxx") || len(s.serverErr.Error()) > limits.Text {
		t.Errorf("refused with %.200v", s.serverErr)
	}
}

func TestInTheClearIsSaidPlainly(t *testing.T) {
	secret := NewSecret()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	go func() {
		c, err := lis.Accept()
		if err == nil {
			_, _ = c.Write([]byte("\x00\x00\x12\x04\x00\x00\x00\x00\x00 in the clear"))
			_, _ = c.Read(make([]byte, 4096))
			_ = c.Close()
		}
	}()
	raw, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, _, err := minted("n1", secret).Credentials().ClientHandshake(t.Context(), "", raw); err == nil || !strings.Contains(err.Error(), "--insecure") {
		t.Errorf("got %v", err)
	}
}

func TestTheAuthorityIsTheSameEverywhere(t *testing.T) {
	secret := NewSecret()
	a, b := deriveAuthority(secret, "c"), deriveAuthority(secret, "c")
	if !bytes.Equal(a.cert.Raw, b.cert.Raw) {
		t.Error("two nodes derive two authorities")
	}
	if bytes.Equal(a.cert.Raw, deriveAuthority(secret, "d").cert.Raw) {
		t.Error("two clusters have one authority")
	}
	for _, shown := range []string{secret.String(), secret.GoString(), a.cert.Subject.String()} {
		if strings.Contains(shown, secret.Hex()) || !strings.Contains(shown, secret.ID()) {
			t.Errorf("%q", shown)
		}
	}
}

func writeSecrets(t *testing.T, path string, all ...Secret) {
	t.Helper()
	replace(t, path, FormatSecrets(all))
}

// replace is for a file that somebody may be reading.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := plainfile.Replace(path, []byte(text), 0o600, false); err != nil {
		t.Fatal(err)
	}
}

func TestASecretIsReplacedWithoutAGap(t *testing.T) {
	old, fresh := NewSecret(), NewSecret()
	paths := []string{filepath.Join(t.TempDir(), "secret"), filepath.Join(t.TempDir(), "secret")}
	var nodes []*Holder
	for i, path := range paths {
		writeSecrets(t, path, old)
		h, err := Open(Files{Secret: path}, member([]string{"n1", "n2"}[i]))
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, h)
	}
	meet := func(when string) {
		for i := range nodes {
			if s := shake(t, nodes[i].Credentials(), nodes[1-i].Credentials()); s.clientErr != nil || s.serverErr != nil {
				t.Fatalf("%s: %v, %v", when, s.clientErr, s.serverErr)
			}
			sealed := nodes[i].Seals().Seal([]byte("hello"))
			if got, ok := nodes[1-i].Seals().Open(sealed); !ok || string(got) != "hello" {
				t.Fatalf("%s: a hello was refused", when)
			}
		}
	}
	meet("at first")
	stale := minted("n3", old)
	before := shake(t, stale.Credentials(), nodes[0].Credentials())
	if before.serverErr != nil {
		t.Fatal(before.serverErr)
	}
	for _, step := range [][]Secret{{old, fresh}, {fresh, old}, {fresh}} {
		for i := range nodes {
			writeSecrets(t, paths[i], step...)
			if changed, err := nodes[i].Reload(); !changed || err != nil {
				t.Fatal(changed, err)
			}
			meet("midway")
		}
	}
	if s := shake(t, stale.Credentials(), nodes[0].Credentials()); s.serverErr == nil {
		t.Error("the dropped secret still opens")
	}
	if _, ok := nodes[0].Seals().Open(stale.Seals().Seal(nil)); ok {
		t.Error("a hello of the dropped secret still counts")
	}
	// Watch closes what the dropped secret had opened.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	now := make(chan struct{}, 1)
	now <- struct{}{}
	go nodes[0].Watch(ctx, now, func(bool, error) {})
	if _, err := before.clientConn.Read(make([]byte, 1)); err == nil {
		t.Error("a connection of the dropped secret goes on")
	}
}

func TestABadFileLeavesTheKeysAsTheyAre(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	secret := NewSecret()
	writeSecrets(t, path, secret)
	h, err := Open(Files{Secret: path}, member("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := h.Reload(); changed || err != nil {
		t.Errorf("unchanged: %v, %v", changed, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if changed, err := h.Reload(); changed || !errors.Is(err, ErrSecret) {
		t.Errorf("readable by others: %v, %v", changed, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	now, told := make(chan struct{}), make(chan error, 8)
	go h.Watch(ctx, now, func(_ bool, err error) { told <- err })
	replace(t, path, "nonsense\n")
	for range 3 {
		now <- struct{}{}
	}
	if err := <-told; err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("told %v", err)
	}
	writeSecrets(t, path, secret, NewSecret())
	now <- struct{}{}
	if err := <-told; err != nil {
		t.Errorf("the error was told again: %v", err)
	}
	if got := h.Secrets(); len(got) != 2 || got[0] != secret.ID() {
		t.Errorf("secrets %v", got)
	}
}

func TestSecretFiles(t *testing.T) {
	a, b := NewSecret(), NewSecret()
	var many []Secret
	for range limits.Secrets + 1 {
		many = append(many, NewSecret())
	}
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string // of the error
	}{
		"one":             {a.Hex(), 0o600, ""},
		"two":             {FormatSecrets([]Secret{a, b}), 0o600, ""},
		"at the limit":    {FormatSecrets(many[1:]), 0o600, ""},
		"over the limit":  {FormatSecrets(many), 0o600, "at most 8"},
		"windows lines":   {"# x\r\n" + a.Hex() + "\r\n", 0o400, ""},
		"empty":           {"# nothing\n", 0o600, "no secret"},
		"short":           {a.Hex()[:63], 0o600, "63 characters"},
		"long":            {a.Hex() + "0", 0o600, "65 characters"},
		"not hex":         {strings.Repeat("z", 64), 0o600, "line 1"},
		"twice":           {a.Hex() + "\n" + a.Hex(), 0o600, "a second time"},
		"twice, dated":    {a.Hex() + "\n" + FormatSecrets([]Secret{a.Dated(time.Now())}), 0o600, "a second time"},
		"no time":         {a.Hex() + " yesterday", 0o600, "line 1 has something else than a time"},
		"two on a line":   {b.Hex() + " " + a.Hex(), 0o600, "line 1 has something else than a time"},
		"others may read": {a.Hex(), 0o640, "chmod 600"},
		"too large":       {strings.Repeat("#\n", limits.SecretFile), 0o600, "secret"},
	} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSecrets(path)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path)):
			t.Errorf("%s: got %v, want %q and the path", name, err, c.want)
		case err != nil && strings.Contains(err.Error(), a.Hex()[:16]):
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	_, read := ReadSecrets(none)
	_, opened := Open(Files{Secret: none}, member("n1"))
	_, operates := OpenOperator(none, "root")
	for _, err := range []error{read, opened, operates} {
		if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrSecret) || !strings.HasSuffix(err.Error(), "`arc secret new --secret-file "+none+"`") {
			t.Errorf("a missing file: %v", err)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	old, fresh := NewSecret(), NewSecret()
	dir := t.TempDir()
	write := func(name string, until time.Time) string {
		text, err := Issue([]Secret{old, fresh}, Identity{"c", Read, name}, until)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	h, err := OpenClient(write("probe", time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	// It knows members that have moved on to the second secret.
	s := shake(t, h.Credentials(), minted("n1", fresh, old).Credentials())
	if s.clientErr != nil || s.serverErr != nil || s.client != (Identity{"c", Read, "probe"}) {
		t.Errorf("%v, %v, %v", s.client, s.clientErr, s.serverErr)
	}
	// It outlives the first secret, if it was made while the second one was newer.
	text, err := Issue([]Secret{old, fresh.Dated(time.Now())}, Identity{"c", Read, "early"}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	early := filepath.Join(dir, "early")
	if err := os.WriteFile(early, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if h, err := OpenClient(early); err != nil {
		t.Error(err)
	} else {
		for _, secrets := range [][]Secret{{old, fresh}, {fresh, old}, {fresh}} {
			if s := shake(t, h.Credentials(), minted("n1", secrets...).Credentials()); s.clientErr != nil || s.serverErr != nil {
				t.Errorf("with %v: %v, %v", secrets, s.clientErr, s.serverErr)
			}
		}
	}
	if _, err := OpenClient(write("late", time.Now().Add(-time.Hour))); err == nil || !strings.Contains(err.Error(), "it ended at") {
		t.Errorf("one that has ended: %v", err)
	}
	// A server judges the end by itself.
	late := *h.keys.Load()
	late.cert = deriveAuthority(old, "c").mint(h.self, time.Now().Add(-time.Minute))
	h.keys.Store(&late)
	if s := shake(t, h.Credentials(), minted("n1", old).Credentials()); s.serverErr == nil {
		t.Error("a certificate that has ended was accepted")
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		path := write("shared", time.Now().Add(time.Hour))
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("certificate %s has mode %04o, so others can use it; make that 0600: chmod 600 %s", path, mode, path)
		if _, err := OpenClient(path); !errors.Is(err, ErrCertificate) || err.Error() != want {
			t.Errorf("mode %o: %v, want %s", mode, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenClient(filepath.Join(dir, "x")); err == nil || !strings.Contains(err.Error(), "arc secret issue") {
		t.Errorf("no certificate: %v", err)
	}
}

func TestAnOperatorWithTheSecretNeedsNoCluster(t *testing.T) {
	old, fresh := NewSecret(), NewSecret()
	path := filepath.Join(t.TempDir(), "secret")
	writeSecrets(t, path, old, fresh)
	h, err := OpenOperator(path, "root@laptop")
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*Holder{minted("n1", old), minted("n1", fresh), Minted([]Secret{old}, Identity{"d", Member, "n1"})} {
		s := shake(t, h.Credentials(), server.Credentials())
		if want := (Identity{server.self.Cluster, Operate, "root@laptop"}); s.clientErr != nil || s.serverErr != nil || s.client != want {
			t.Errorf("%v, %v; taken for %v, want %v", s.clientErr, s.serverErr, s.client, want)
		}
	}
	if s := shake(t, h.Credentials(), minted("n1", NewSecret()).Credentials()); s.clientErr == nil {
		t.Error("it believes a member with another secret")
	}
}
