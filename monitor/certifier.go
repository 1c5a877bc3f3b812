package monitor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

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
	warm    map[string]*warmConn // by address
	wg      sync.WaitGroup
}

type warmConn struct {
	cc     *grpc.ClientConn
	cancel context.CancelFunc
}

func newCertifier(o *Options, d *connect.Dialer) *certifier {
	return &certifier{log: o.Logger, dialer: d, warm: map[string]*warmConn{}}
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
	for a, w := range c.warm {
		if !wanted[a] {
			w.close()
			delete(c.warm, a)
		}
	}
}

func (c *certifier) open(ctx context.Context, addr string) {
	cc, err := c.dialer.Conn(addr)
	if err != nil {
		c.log.Error("cannot keep a connection for certificates", "peer", addr, "error", err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	c.warm[addr] = &warmConn{cc, cancel}
	c.wg.Go(func() {
		if pause(ctx, durations.CertificateSettle) {
			keepWarm(ctx, cc)
		}
	})
}

func (w *warmConn) close() {
	w.cancel()
	// It may be closed already; there is nothing else to do about it.
	_ = w.cc.Close()
}

// keepWarm connects, and connects again after a loss. gRPC itself dials again only
// on a call.
func keepWarm(ctx context.Context, cc *grpc.ClientConn) {
	cc.Connect()
	for {
		state := cc.GetState()
		switch state {
		case connectivity.Shutdown:
			return
		case connectivity.Idle:
			if !pause(ctx, durations.CertificateReconnect) {
				return
			}
			cc.Connect()
		}
		if !cc.WaitForStateChange(ctx, state) {
			return
		}
	}
}

// pause waits for d to twice of it, and reports whether ctx lived as long.
func pause(ctx context.Context, d time.Duration) bool { return connect.Wait(ctx, d+rand.N(d)) }

// certify sends the certificate to all targets at once, and again until all have
// answered or ctx ends. It returns how many did not answer.
func (c *certifier) certify(ctx context.Context, request *peerv1.CertifyRequest) (missed int) {
	type outcome struct {
		target *localv1.Target
		err    error
	}
	outcomes := make(chan outcome)
	// The first target led most recently, so it is the likeliest heir. The goroutine
	// that is started last runs first.
	for _, t := range slices.Backward(c.targets) {
		go func() { outcomes <- outcome{t, c.tell(ctx, t, request)} }()
	}
	for range c.targets {
		o := <-outcomes
		if o.err != nil {
			missed++
			c.log.Warn("a death certificate did not arrive", "peer", o.target.GetName(), "error", o.err)
			continue
		}
		c.log.Debug("a death certificate arrived", "peer", o.target.GetName())
	}
	return missed
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
func (c *certifier) tellOnce(ctx context.Context, t *localv1.Target, addr string, warm *warmConn, request *peerv1.CertifyRequest) error {
	var cc *grpc.ClientConn
	try := durations.CertificateFresh
	if warm != nil {
		// If it is in back-off the call fails at once. ResetConnectBackoff would
		// help, but it races with the connection's own goroutines.
		cc, try = warm.cc, durations.CertificateWarm
	} else {
		fresh, err := c.dialer.Conn(addr)
		if err != nil {
			return err
		}
		defer fresh.Close()
		cc = fresh
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
	for a, w := range c.warm {
		w.close()
		delete(c.warm, a)
	}
	c.wg.Wait()
}
