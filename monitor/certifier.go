package monitor

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/durations"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// certifier hands the certificate of the own coordinator's death to the members
// that the link names. A leader's certifier keeps connections to them, because a
// whole ring waits for its certificate: it then costs one round trip. The others
// dial when they have to. If they kept connections too, every monitor would lose
// one to a leader that dies. Twenty members that shared a machine spent a sixth of
// a failover's processor time on that. Its methods belong to the monitor's loop.
type certifier struct {
	log     hclog.Logger
	dialer  *connect.Dialer
	targets []*localv1.Target
	warm    map[string]*grpc.ClientConn // by address
	wg      sync.WaitGroup
}

func newCertifier(o *Options, d *connect.Dialer) *certifier {
	return &certifier{log: o.Logger, dialer: d, warm: map[string]*grpc.ClientConn{}}
}

// update takes the targets from the link, and makes and drops connections.
func (c *certifier) update(ctx context.Context, l *localv1.Link) {
	self := l.GetSelf().GetId()
	leads := self != 0 && l.GetLeader() == self
	c.targets = c.targets[:0]
	wanted := map[string]bool{}
	for _, t := range l.GetTell() {
		if t.GetId() == self {
			continue
		}
		c.targets = append(c.targets, t)
		for _, a := range t.GetAddresses() {
			wanted[a] = leads
			if leads && c.warm[a] == nil {
				c.open(ctx, a)
			}
		}
	}
	c.closeBut(wanted)
}

func (c *certifier) open(ctx context.Context, addr string) {
	cc, err := c.dialer.Conn(addr)
	if err != nil {
		c.log.Error("cannot keep a connection for certificates", "peer", addr, "error", err)
		return
	}
	c.warm[addr] = cc
	c.wg.Go(func() { keepWarm(ctx, cc) })
}

// closeBut closes the connections that are not wanted.
func (c *certifier) closeBut(wanted map[string]bool) {
	maps.DeleteFunc(c.warm, func(addr string, cc *grpc.ClientConn) bool {
		if !wanted[addr] {
			// It may be closed already; there is nothing else to do about it.
			_ = cc.Close()
		}
		return !wanted[addr]
	})
}

// keepWarm connects after a pause, and again after a loss, until the connection is
// closed or ctx ends. gRPC itself dials again only on a call.
func keepWarm(ctx context.Context, cc *grpc.ClientConn) {
	wait := durations.CertificateSettle
	for {
		state := cc.GetState()
		switch state {
		case connectivity.Shutdown:
			return
		case connectivity.Idle:
			// Up to twice as long, so that the connections of a ring come apart.
			if !connect.Wait(ctx, wait+rand.N(wait)) {
				return
			}
			wait = durations.CertificateReconnect
			cc.Connect()
		}
		if !cc.WaitForStateChange(ctx, state) {
			return
		}
	}
}

// certify sends the certificate to all targets at once, and again until all have
// answered or ctx ends. It returns how many did not answer.
func (c *certifier) certify(ctx context.Context, request *peerv1.CertifyRequest) int {
	var telling sync.WaitGroup
	var missed atomic.Int32
	// The first target led most recently, so it is the likeliest heir. The goroutine
	// that is started last runs first.
	for _, t := range slices.Backward(c.targets) {
		telling.Go(func() {
			if err := c.tell(ctx, t, request); err != nil {
				missed.Add(1)
				c.log.Warn("a death certificate did not arrive", "peer", t.GetName(), "error", err)
				return
			}
			c.log.Debug("a death certificate arrived", "peer", t.GetName())
		})
	}
	telling.Wait()
	return int(missed.Load())
}

// tell tries all addresses of one member at once, until one takes it.
func (c *certifier) tell(ctx context.Context, t *localv1.Target, request *peerv1.CertifyRequest) error {
	if a := t.GetAddresses(); len(a) == 1 {
		return c.tellAt(ctx, t, a[0], request) // a race would cost a goroutine
	}
	_, err := connect.Race(ctx, t.GetAddresses(), func(ctx context.Context, addr string) (struct{}, error) {
		return struct{}{}, c.tellAt(ctx, t, addr, request)
	}, func(struct{}) {})
	return err
}

// tellAt tries the warm connection first, then fresh ones.
func (c *certifier) tellAt(ctx context.Context, t *localv1.Target, addr string, request *peerv1.CertifyRequest) error {
	warm := c.warm[addr]
	var last error
	for failures := 1; ; failures++ {
		err := c.tellOnce(ctx, t, addr, warm, request)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		if connect.Reason(err) == policy.Rejected {
			return last
		}
		warm = nil
		if !connect.Wait(ctx, durations.CertificateRetry.Pause(failures)) {
			return last
		}
	}
}

// tellOnce makes sure that the target itself took the certificate: an address may
// lead to another member.
func (c *certifier) tellOnce(ctx context.Context, t *localv1.Target, addr string, cc *grpc.ClientConn, request *peerv1.CertifyRequest) (err error) {
	try := durations.CertificateFresh
	if cc != nil {
		// If it is in back-off the call fails at once. ResetConnectBackoff would
		// help, but it races with the connection's own goroutines.
		try = durations.CertificateWarm
	} else {
		if cc, err = c.dialer.Conn(addr); err != nil {
			return err
		}
		defer cc.Close()
	}
	ctx, cancel := context.WithTimeout(ctx, try)
	defer cancel()
	resp, err := peerv1.NewPeerServiceClient(cc).Certify(ctx, request)
	if err == nil && resp.GetId() != 0 && resp.GetId() != t.GetId() {
		return fmt.Errorf("%s leads to member %d instead of %d (%s)", addr, resp.GetId(), t.GetId(), t.GetName())
	}
	return err
}

func (c *certifier) close() {
	c.closeBut(nil)
	c.wg.Wait()
}
