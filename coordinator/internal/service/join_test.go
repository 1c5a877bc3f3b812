package service

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// A joiner that only its own machine reaches is refused where it asks from another
// one. Its connection came in through the door.
func TestAJoinerThatNobodyReachesIsRefused(t *testing.T) {
	d := newDoor(hclog.NewNullLogger(), budgetsFor(1024), func() map[netip.Addr]bool { return nil }, thisMachine)
	_, near := tcpPair(t, listenTCP(t))
	ctx := withGuest(t.Context(), d.enter(near, stranger))
	clock := func() election.Instant { return 1 }
	hub := publish.NewHub(clock, &publish.View{Ring: &ring.State{}})
	r := &arcv1.JoinRequest{Cluster: "c", Name: "n2", Incarnation: 7, Addresses: []string{"127.0.0.1:7400"}}
	join := func(here bool) error {
		s := &Servers{o: Options{Cluster: "c", Hub: hub, Clock: clock, Loop: func() Loop { return nil }, Local: func(netip.Addr) bool { return here }}}
		_, err := s.Join(ctx, r)
		return err
	}
	if err := join(false); !errors.Is(err, ring.ErrInvalid) || !strings.Contains(err.Error(), "it asks from 127.0.0.1") {
		t.Errorf("from another machine: %v", err)
	}
	if err := join(true); errors.Is(err, ring.ErrInvalid) {
		t.Errorf("from this machine: %v", err)
	}
}
