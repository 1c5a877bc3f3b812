package testserver

import (
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/arc-ring/arc/internal/testwait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHost(t *testing.T) {
	serve := func(addr string) *Host {
		h, err := Listen("tcp", addr, func(s grpc.ServiceRegistrar) { healthpb.RegisterHealthServer(s, health.NewServer()) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Stop)
		return h
	}
	h := serve("127.0.0.1:0")
	cc, err := grpc.NewClient(h.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	served := func(what string) {
		t.Helper()
		cc.ResetConnectBackoff()
		testwait.UntilNil(t, 20*time.Second, "served "+what, func() error {
			_, err := healthpb.NewHealthClient(cc).Check(t.Context(), &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
			return err
		})
	}
	served("at first")
	h.Break()
	served("after a break")
	if h.Accepted() != 1 {
		t.Errorf("%d connections since the break, want 1", h.Accepted())
	}
	h.Slam(1)
	c, err := net.Dial("tcp", h.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("let in although the door was slammed")
	}
	_ = c.Close()
	testwait.Until(t, 20*time.Second, "the listener is closed", func() bool {
		c, err := net.Dial("tcp", h.Addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	h.Stop()
	h.Stop()
	serve(h.Addr)
	served("again at its address")
}
