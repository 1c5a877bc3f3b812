package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/testwait"
)

// ownFiles are the three files as an operator's tool writes them.
func ownFiles(t *testing.T, i Identity, by, ca authority, until time.Time) Files {
	t.Helper()
	dir := t.TempDir()
	c := by.mint(i, until)
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	f := Files{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), Authority: filepath.Join(dir, "ca")}
	for path, block := range map[string][]byte{f.Cert: pemOf(certBlock, c.Leaf.Raw), f.Key: pemOf("PRIVATE KEY", key), f.Authority: pemOf(certBlock, ca.cert.Raw)} {
		if err := os.WriteFile(path, block, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestAnAuthorityOfOnesOwn(t *testing.T) {
	ca := deriveAuthority(NewSecret(), "c")
	files := func(i Identity, by authority) Files { return ownFiles(t, i, by, ca, time.Now().Add(time.Hour)) }
	open := func(name string) *Holder {
		h, err := Open(files(member(name), ca), member(name))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if s := shake(t, open("n1").Credentials(), open("n2").Credentials()); s.clientErr != nil || s.serverErr != nil || s.server != member("n2") {
		t.Errorf("%v, %v, %v", s.server, s.clientErr, s.serverErr)
	}
	long := files(member("n1"), ca)
	leaf, err := os.ReadFile(long.Cert)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(long.Cert, append(leaf, bytes.Repeat(pemOf(certBlock, ca.cert.Raw), 40)...), 0o600); err != nil {
		t.Fatal(err)
	}
	shared := files(member("n1"), ca)
	if err := os.Chmod(shared.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	for mode, root := range map[os.FileMode]bool{0o640: true, 0o660: false, 0o650: false} {
		grouped := files(member("n1"), ca)
		if err := os.Chmod(grouped.Key, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(grouped, member("n1")); (err == nil) != (root && os.Geteuid() == 0) {
			t.Errorf("a key with mode %04o, of user %d: %v", mode, os.Geteuid(), err)
		}
	}
	for name, c := range map[string]struct {
		files Files
		want  string
	}{
		"with a long chain": {long, "with its chain"},
		"for another node":  {files(member("n9"), ca), "needs spiffe://c/member/n1"},
		"for a client":      {files(Identity{"c", Operate, "n1"}, ca), "needs spiffe://c/member/n1"},
		"of another signer": {files(member("n1"), deriveAuthority(NewSecret(), "c")), "is not accepted by"},
		"with a shared key": {shared, "certificate's key " + shared.Key + " has mode 0644, so others can use it; make that 0600: chmod 600 " + shared.Key},
		"without a key":     {Files{Cert: files(member("n1"), ca).Cert}, "all three"},
	} {
		if _, err := Open(c.files, member("n1")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// A certificate that is about to end is told of once, and so is its end.
func TestACertificateThatEndsIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := deriveAuthority(NewSecret(), "c")
		end := time.Now().Add(durations.TrustEnds + time.Hour)
		h, err := Open(ownFiles(t, member("n1"), ca, ca, end), member("n1"))
		if err != nil {
			t.Fatal(err)
		}
		words := make(chan string, 8)
		go h.Watch(t.Context(), nil, func(_ bool, err error) { words <- err.Error() })
		var told []string
		for _, step := range []struct {
			wait  time.Duration
			words int
		}{{30 * time.Minute, 0}, {time.Hour, 1}, {time.Hour, 1}} {
			testwait.Virtual(step.wait)
			for len(words) > 0 {
				told = append(told, <-words)
			}
			if len(told) != step.words || step.words > 0 && !strings.HasSuffix(told[0], "it ends at "+end.UTC().Format(time.RFC3339)) {
				t.Errorf("told %q after %v", told, step.wait)
			}
		}
		if err := h.ends(end.Add(time.Second)); err == nil || !strings.Contains(err.Error(), "has ended at") {
			t.Errorf("after its end: %v", err)
		}
	})
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
