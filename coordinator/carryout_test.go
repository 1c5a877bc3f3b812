package coordinator

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/coordinator/internal/transport"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/ring"
)

// Who is thought dead is redialled once a second, anybody else who refuses twice, and
// one whose suspicion is cleared at once.
func TestSuspicionsDecideHowPeersAreDialled(t *testing.T) {
	opinion := func(id uint64) election.SuspicionChanged {
		return election.SuspicionChanged{Opinion: &ring.Opinion{ID: id}}
	}
	cleared := opinion(2)
	cleared.Cleared = true
	// The fewest dials at once, and the fewest and the most in five seconds.
	type bounds struct{ atOnce, least, most int }
	normal, quiet, fresh := bounds{0, 8, 14}, bounds{0, 4, 6}, bounds{3, 8, 40}
	for name, c := range map[string]struct {
		effects []election.Effect
		want    bounds
	}{
		"nothing":                   {nil, normal},
		"an opinion of it":          {[]election.Effect{opinion(2)}, quiet},
		"an opinion of another":     {[]election.Effect{opinion(3)}, normal},
		"its certificate":           {[]election.Effect{election.SuspicionChanged{Certificate: &election.Certificate{ID: 2}}}, quiet},
		"a certificate of another":  {[]election.Effect{election.SuspicionChanged{Certificate: &election.Certificate{ID: 3}}}, normal},
		"its suspicion was cleared": {[]election.Effect{opinion(2), cleared}, fresh},
		"a claim, which is nothing": {[]election.Effect{election.ClaimChanged{}}, normal},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dials atomic.Int32
				n := &node{transport: transport.New(transport.Options{
					Self: func() transport.Identity {
						return transport.Identity{Cluster: "c", RingID: "r", ID: 1, Name: "n1"}
					},
					Gone:   func(uint64) bool { return false },
					Local:  func(netip.Addr) bool { return false },
					Logger: hclog.NewNullLogger(),
					Dialer: &connect.Dialer{Raw: func(context.Context, string, string) (net.Conn, error) {
						dials.Add(1)
						return nil, syscall.ECONNREFUSED
					}},
				})}
				defer n.transport.Close()
				n.transport.SetPeers([]election.Peer{{Member: ring.Member{ID: 2, Name: "n2", Incarnation: 1, Addresses: []string{"192.0.2.1:7400"}}}})
				testwait.Virtual(10 * time.Second)
				for _, e := range c.effects {
					(&living{n: n}).carryOut(e)
				}
				before := int(dials.Load())
				testwait.Virtual(50 * time.Millisecond)
				atOnce := int(dials.Load()) - before
				testwait.Virtual(5 * time.Second)
				if got := int(dials.Load()) - before; atOnce < c.want.atOnce || got < c.want.least || got > c.want.most {
					t.Errorf("%d dials at once and %d in five seconds, want at least %d, and %d to %d", atOnce, got, c.want.atOnce, c.want.least, c.want.most)
				}
			})
		})
	}
}

// An effect that nobody knows is a mistake in the program, not one to pass over.
func TestAnUnknownEffectPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it is passed over")
		}
	}()
	(&living{n: &node{}}).carryOut(election.Persist{})
}
