package connect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(testserver.Serve(l, func(s grpc.ServiceRegistrar) { healthpb.RegisterHealthServer(s, health.NewServer()) }).Stop)
	return l
}

func check(t *testing.T, cc *grpc.ClientConn, opts ...grpc.CallOption) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{}, opts...)
	return err
}

func TestConn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	serve(t, "unix", path)
	for _, addr := range []string{serve(t, "tcp", "127.0.0.1:0").Addr().String(), "unix://" + path} {
		cc, err := new(Dialer).Conn(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer cc.Close()
		if err := check(t, cc); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestConnHealsSoon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	cc, err := new(Dialer).Conn("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	if err := check(t, cc); err == nil {
		t.Fatal("nobody listens, and it answers")
	}
	serve(t, "unix", path)
	if err := check(t, cc, grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
}

func TestOverDiesWithItsConnection(t *testing.T) {
	addr := serve(t, "tcp", "127.0.0.1:0").Addr().String()
	conn, err := new(Dialer).Net(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	cc, err := new(Dialer).Over(conn, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	if err := check(t, cc); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	for range 3 {
		if err = check(t, cc); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(check(t, cc).Error(), errUsed.Error()) {
		t.Errorf("after the connection was lost: %v, want %v", err, errUsed)
	}
}

func TestReason(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	d := &Dialer{}
	for _, a := range []string{addr, "unix://" + filepath.Join(t.TempDir(), "s")} {
		if _, err := d.Net(t.Context(), a); Reason(err) != policy.NobodyListens {
			t.Errorf("%s: %v, want it to be refused", a, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Net(ctx, addr); err == nil || Reason(err) != policy.Unanswered {
		t.Errorf("a dial that was given up counts as refused: %v", err)
	}
	if Reason(errors.New("connection refused")) != policy.Unanswered {
		t.Error("Reason reads texts")
	}
	if err := fmt.Errorf("hello: %w", status.Error(codes.FailedPrecondition, "another ring")); Reason(err) != policy.Rejected {
		t.Errorf("%v is no rejection", err)
	}
	if err := fmt.Errorf("dial: %w", ErrOwn); Reason(err) != policy.Own {
		t.Errorf("%v is not an own address", err)
	}
}

func TestBadAddress(t *testing.T) {
	if _, err := new(Dialer).Conn("somewhere"); err == nil || !strings.Contains(err.Error(), `dial "somewhere"`) || !strings.Contains(err.Error(), "HOST:PORT") {
		t.Errorf("Conn gives %v", err)
	}
}
