package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/arc-ring/arc/internal/fakearc"
	"github.com/arc-ring/arc/internal/testserver"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/internal/trust"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// secure serves a coordinator with the secret, and says who asked for its status.
func secure(t *testing.T, secret trust.Secret) (addr string, asked *trust.Identity) {
	t.Helper()
	asked = &trust.Identity{}
	f := &fakearc.Server{StatusFunc: func(ctx context.Context, _ *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
		*asked, _ = trust.Of(ctx)
		return &arcv1.StatusResponse{}, nil
	}}
	h := trust.Minted([]trust.Secret{secret}, trust.Identity{Cluster: "c", Role: trust.Member, Name: "n1"})
	host, err := testserver.Listen("tcp", "127.0.0.1:0", func(s grpc.ServiceRegistrar) { arcv1.RegisterArcServiceServer(s, f) }, grpc.Creds(h.Credentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Stop)
	return host.Addr, asked
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestACoordinatorIsShownACertificate(t *testing.T) {
	secret, other := trust.NewSecret(), trust.NewSecret()
	issued := func(all ...trust.Secret) string {
		text, err := trust.Issue(all, trust.Identity{Cluster: "c", Role: trust.Read, Name: "probe"}, time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	secretFile := func(s trust.Secret) string { return file(t, trust.FormatSecrets([]trust.Secret{s})) }
	addr, asked := secure(t, secret)
	for name, c := range map[string]struct {
		opts []Option
		as   trust.Role
		want string // of the error
		hint string
	}{
		"a certificate":          {[]Option{WithCertificate(file(t, issued(secret)))}, trust.Read, "", ""},
		"the secret":             {[]Option{WithSecret(secretFile(secret))}, trust.Operate, "", ""},
		"another certificate":    {[]Option{WithCertificate(file(t, issued(other)))}, "", "it is made with secret " + secret.ID(), "arc secret show"},
		"one that is refused":    {[]Option{WithCertificate(file(t, issued(other, secret)))}, "", "of this end is refused", "arc secret show"},
		"another secret":         {[]Option{WithSecret(secretFile(other))}, "", "this process has " + other.ID(), "arc secret show"},
		"nothing":                {nil, "", "no certificate is shown", "--certificate"},
		"a certificate as clear": {[]Option{WithCertificate("")}, "", "no certificate is shown", "--certificate"},
	} {
		*asked = trust.Identity{}
		c2, err := New(addr, c.opts...)
		if err != nil {
			t.Fatal(name, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err = c2.Status(ctx)
		cancel()
		c2.Close()
		if asked.Role != c.as {
			t.Errorf("%s: asked as %v", name, *asked)
		}
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.hint)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A client whose certificate ends while it watches is told so, and on which day. It need
// not try again.
func TestAWatchThatOutlivesItsCertificate(t *testing.T) {
	secret := trust.NewSecret()
	h := trust.Minted([]trust.Secret{secret}, trust.Identity{Cluster: "c", Role: trust.Member, Name: "n1"})
	var asked atomic.Int64
	host, err := testserver.Listen("tcp", "127.0.0.1:0", func(s grpc.ServiceRegistrar) { arcv1.RegisterArcServiceServer(s, silent(&asked)) }, grpc.Creds(h.Credentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Stop)
	end := time.Now().Add(2 * time.Second).Truncate(time.Second)
	text, err := trust.Issue([]trust.Secret{secret}, trust.Identity{Cluster: "c", Role: trust.Read, Name: "probe"}, end)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(host.Addr, WithCertificate(file(t, string(text))))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w, err := c.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Recv(); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, 20*time.Second, "the certificate has ended", func() bool { return time.Now().After(end) })
	host.Break() // a coordinator closes the connection
	_, watched := w.Recv()
	_, status := c.Status(short(t, 20*time.Second))
	_, awaited := c.AwaitLeader(t.Context(), false)
	for what, err := range map[string]error{"watch": watched, "status": status, "await leader": awaited} {
		if kindsOf(err) != "ErrCertificate" || !strings.Contains(err.Error(), "has ended at "+end.UTC().Format(time.RFC3339)) || !strings.HasSuffix(err.Error(), "; take a new certificate from `arc secret issue`, or from your own authority") {
			t.Errorf("%s: %v is %q", what, err, kindsOf(err))
		}
	}
}

// A coordinator in the clear is not asked with a certificate, and the error says why.
func TestACoordinatorInTheClearIsNamed(t *testing.T) {
	host, err := testserver.Listen("tcp", "127.0.0.1:0", func(s grpc.ServiceRegistrar) { arcv1.RegisterArcServiceServer(s, &fakearc.Server{}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Stop)
	c, err := New(host.Addr, WithSecret(file(t, trust.FormatSecrets([]trust.Secret{trust.NewSecret()}))))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err = c.Status(ctx); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "--insecure") || !strings.Contains(err.Error(), "unix socket") {
		t.Errorf("got %v", err)
	}
}

func TestFilesThatAreNoKeys(t *testing.T) {
	for name, o := range map[string]Option{
		"no certificate": WithCertificate(file(t, "x")), "no secret": WithSecret(file(t, "x")),
		"missing": WithCertificate("/nonexistent/c"), "no file": WithSecret(t.TempDir()),
	} {
		if _, err := New("127.0.0.1:1", o); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
		// The unix socket needs none.
		if c, err := New("unix:///nonexistent", o); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			c.Close()
		}
	}
}
