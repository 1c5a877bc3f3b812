package service

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/trust"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// A stream that outlives the client's certificate ends with it, and says so. Neither one
// that ended before nor a member's does.
func TestAStreamEndsWithTheClientsCertificate(t *testing.T) {
	const lasts = time.Hour
	for _, c := range []struct {
		until, leaves time.Duration // 0 for none
		after         time.Duration
		want          string // of the error
	}{
		{lasts, 0, lasts, "the client's certificate has ended: spiffe://c/read/probe, at 2000-01-01T01:00:00Z; take a new one from `arc secret issue`, or from your own authority"},
		{lasts, time.Minute, time.Minute, context.Canceled.Error()},
		{0, 2 * lasts, 2 * lasts, context.Canceled.Error()},
	} {
		for method, watch := range map[string]func(*Servers, grpc.ServerStream) error{
			arcv1.ArcService_Watch_FullMethodName: func(s *Servers, w grpc.ServerStream) error {
				return s.Watch(nil, &grpc.GenericServerStream[arcv1.WatchRequest, arcv1.WatchResponse]{ServerStream: w})
			},
			healthv1.Health_Watch_FullMethodName: func(s *Servers, w grpc.ServerStream) error {
				return healthService{n: s}.Watch(&healthv1.HealthCheckRequest{}, &grpc.GenericServerStream[healthv1.HealthCheckRequest, healthv1.HealthCheckResponse]{ServerStream: w})
			},
		} {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s := testServers(func() election.Instant { return mono.Instant(time.Since(began)) })
				s.o.Events.MonitorMissing, s.o.Events.Wall = func() string { return "" }, time.Now
				proof := trust.Proof{Identity: trust.Identity{Cluster: "c", Role: trust.Read, Name: "probe"}}
				if c.until != 0 {
					proof.Until = began.Add(c.until).UTC()
				}
				ctx, leave := context.WithCancel(peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{}, AuthInfo: proof}))
				defer leave()
				if c.leaves != 0 {
					time.AfterFunc(c.leaves, leave)
				}
				err := streamErrors(nil, unheard{ctx: ctx}, nil, func(srv any, w grpc.ServerStream) error {
					return s.admitStream(srv, w, &grpc.StreamServerInfo{FullMethod: method}, func(_ any, w grpc.ServerStream) error { return watch(s, w) })
				})
				if took := time.Since(began); took != c.after || status.Convert(err).Message() != c.want {
					t.Errorf("%s: after %v %v, want %s after %v", method, took, err, c.want, c.after)
				}
				if ended := c.want != context.Canceled.Error(); ended != (status.Code(err) == codes.Unauthenticated) || ended != (reason.Of(err) == "CERTIFICATE_ENDED") {
					t.Errorf("%s: %v is %v %q", method, err, status.Code(err), reason.Of(err))
				}
			})
		}
	}
}

// unheard is a stream that takes what is sent.
type unheard struct {
	grpc.ServerStream
	ctx context.Context
}

func (u unheard) Context() context.Context { return u.ctx }
func (unheard) SendMsg(any) error          { return nil }
