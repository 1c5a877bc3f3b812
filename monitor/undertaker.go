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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// undertaker tells all who have to learn of the own coordinator's death. A
// leader's keeps connections to them, so that telling costs one round trip: for
// a leader a whole ring waits. The others dial when they have to; did they keep
// connections too, every monitor would lose one to a leader that dies, and
// taking those down took a sixth of a failover's processor time where twenty
// members shared a machine. Its methods belong to the monitor's loop.
type undertaker struct {
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

func newUndertaker(o *Options, d *connect.Dialer) *undertaker {
	return &undertaker{log: o.Logger, dialer: d, warm: map[string]*warmConn{}}
}

// update takes whom to tell from the link, and makes and drops connections.
func (u *undertaker) update(ctx context.Context, l *localv1.Link) {
	self := l.GetSelf().GetId()
	leads := self != 0 && l.GetLeader() == self
	u.targets = u.targets[:0]
	wanted := map[string]bool{}
	for _, t := range l.GetTell() {
		if t.GetId() == self {
			continue
		}
		u.targets = append(u.targets, t)
		for _, a := range t.GetAddresses() {
			wanted[a] = leads
			if leads && u.warm[a] == nil {
				u.open(ctx, a)
			}
		}
	}
	for a, w := range u.warm {
		if !wanted[a] {
			w.close()
			delete(u.warm, a)
		}
	}
}

func (u *undertaker) open(ctx context.Context, addr string) {
	cc, err := u.dialer.Conn(addr)
	if err != nil {
		u.log.Error("cannot keep a connection for certificates", "peer", addr, "error", err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	u.warm[addr] = &warmConn{cc, cancel}
	u.wg.Go(func() {
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

// keepWarm connects, and again when the connection was lost. gRPC itself dials
// again only when somebody calls.
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

// pause waits for d to twice of it; false if ctx ends.
func pause(ctx context.Context, d time.Duration) bool { return connect.Wait(ctx, d+rand.N(d)) }

// certify tells everybody at once, and tries again until all have answered or
// ctx ends. It returns how many did not answer.
func (u *undertaker) certify(ctx context.Context, request *peerv1.CertifyRequest) (missed int) {
	type outcome struct {
		target *localv1.Target
		err    error
	}
	outcomes := make(chan outcome)
	// The first of them is the most recent former leader, the heir most likely;
	// what is started last runs first.
	for _, t := range slices.Backward(u.targets) {
		go func() { outcomes <- outcome{t, u.tell(ctx, t, request)} }()
	}
	for range u.targets {
		o := <-outcomes
		if o.err != nil {
			missed++
			u.log.Warn("a death certificate did not arrive", "peer", o.target.GetName(), "error", o.err)
			continue
		}
		u.log.Debug("a death certificate arrived", "peer", o.target.GetName())
	}
	return missed
}

// tell tries all addresses of one member at once, until one takes it.
func (u *undertaker) tell(ctx context.Context, t *localv1.Target, request *peerv1.CertifyRequest) error {
	if a := t.GetAddresses(); len(a) == 1 {
		return u.tellAt(ctx, t, a[0], u.warm[a[0]], request)
	}
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan error, len(t.GetAddresses()))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, a := range t.GetAddresses() {
		warm := u.warm[a]
		wg.Go(func() { results <- u.tellAt(ctx, t, a, warm, request) })
	}
	var last error
	for range t.GetAddresses() {
		if last = <-results; last == nil {
			return nil
		}
	}
	return last
}

// tellAt tries the warm connection first, then fresh ones.
func (u *undertaker) tellAt(ctx context.Context, t *localv1.Target, addr string, warm *warmConn, request *peerv1.CertifyRequest) error {
	var last error
	for failures := 1; ; failures++ {
		err := u.tellOnce(ctx, t, addr, warm, request)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		switch status.Code(err) {
		case codes.InvalidArgument, codes.FailedPrecondition, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
			return last
		}
		warm = nil
		if !connect.Wait(ctx, durations.CertificateRetry.Pause(failures)) {
			return last
		}
	}
}

// tellOnce makes sure that it was the target who took it: an address may lead
// to another member.
func (u *undertaker) tellOnce(ctx context.Context, t *localv1.Target, addr string, warm *warmConn, request *peerv1.CertifyRequest) error {
	var cc *grpc.ClientConn
	try := durations.CertificateFresh
	if warm != nil {
		// If it is in back-off the call fails at once. ResetConnectBackoff would
		// help, but it races with the connection's own goroutines.
		cc, try = warm.cc, durations.CertificateWarm
	} else {
		fresh, err := u.dialer.Conn(addr)
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

func (u *undertaker) close() {
	for a, w := range u.warm {
		w.close()
		delete(u.warm, a)
	}
	u.wg.Wait()
}
