package connect

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/arc-ring/arc/internal/hostaddr"
)

func TestOthersNeverDialTheOwnNode(t *testing.T) {
	own, other := serve(t, "tcp", "127.0.0.1:0").Addr().String(), serve(t, "tcp", "127.0.0.1:0").Addr().String()
	o := &Dialer{Own: func() []string { return []string{own} }, Local: &hostaddr.Table{}}
	if c, err := o.Net(t.Context(), other); err != nil {
		t.Errorf("another node of this machine: %v", err)
	} else {
		c.Close()
	}
	// Many nodes on one machine: each has a loopback address, all the same port.
	_, port, err := net.SplitHostPort(own)
	if err == nil {
		neighbour := serve(t, "tcp", "127.99.0.7:"+port).Addr().String()
		c, err := o.Net(t.Context(), neighbour)
		if err != nil {
			t.Fatalf("another node at another loopback address: %v", err)
		}
		c.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{own, "localhost:" + port} {
		if _, err := o.Net(t.Context(), a); !errors.Is(err, ErrOwn) {
			t.Errorf("%s: %v, want %v", a, err, ErrOwn)
		}
	}
	if !o.OnThisMachine(own) || o.OnThisMachine("192.0.2.200:7400") {
		t.Error("it does not know which addresses are this machine's")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.Net(ctx, other); err == nil || errors.Is(err, ErrOwn) {
		t.Errorf("a dial that was given up: %v", err)
	}
}
