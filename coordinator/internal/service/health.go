package service

import (
	"cmp"
	"context"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
)

const (
	// healthOverall is gRPC's name for the server as a whole: this node is a
	// settled member of a ring, or can become one by itself.
	healthOverall = ""
	// healthLeader is served only while this node claims the leadership.
	healthLeader = "arc.leader"

	// leaderlessLeases is for how many leases a member may know no leader before
	// it counts as unable to settle; an election takes less. durations.HealthPatience
	// is the least.
	leaderlessLeases = 4
)

// healthService answers gRPC's health checks from the published view and the
// clock, both read at the moment of asking: neither an event loop that hangs nor
// a lost update keeps a claim alive.
type healthService struct {
	healthv1.UnimplementedHealthServer
	n *Servers
}

// healthWord turns a judgement into the word of the wire.
func healthWord(well bool) healthv1.HealthCheckResponse_ServingStatus {
	if well {
		return healthv1.HealthCheckResponse_SERVING
	}
	return healthv1.HealthCheckResponse_NOT_SERVING
}

// health returns the health of a service now and when it may change without a
// new view, Never if it will not; known is false for a name that is no service.
func (s *Servers) health(service string) (word healthv1.HealthCheckResponse_ServingStatus, until election.Instant, known bool) {
	v, now, _, left, claims := s.o.Hub.Claim()
	switch service {
	case healthLeader:
		until = election.Never
		if claims && v.ClaimEnd != election.Never {
			until = now.Add(left)
		}
		return healthWord(claims), until, true
	case healthOverall:
		stuck := time.Duration(0)
		if l := s.o.Loop(); l != nil {
			stuck = l.Stuck()
		}
		well, until := able(v, now, stuck)
		return healthWord(well), until, true
	}
	return healthv1.HealthCheckResponse_SERVICE_UNKNOWN, election.Never, false
}

// able reports whether this node is a settled member or can become one by
// itself, and when that may change without a new view. stuck is for how long the
// event loop has been at one turn.
func able(v *publish.View, now election.Instant, stuck time.Duration) (ok bool, until election.Instant) {
	if v.Ring.RingID != "" && stuck > v.Ring.Settings.Detection(true) {
		return false, election.Never // as dead as it looks to its neighbour's monitor
	}
	switch v.Phase {
	case publish.Leaving, publish.Halted:
		return false, election.Never
	case publish.Joining, publish.Founding:
		return v.WaitsFor == "", election.Never
	}
	since := cmp.Or(v.Leaderless, v.LeaderEnd) // the latter if no view was published since
	if since == election.Never {
		return true, since
	}
	end := since.Add(max(leaderlessLeases*v.Ring.Settings.Lease(), durations.HealthPatience))
	if now >= end {
		return false, election.Never
	}
	return true, end
}

func (s healthService) Check(_ context.Context, r *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	word, _, known := s.n.health(r.GetService())
	if !known {
		return nil, status.Errorf(codes.NotFound, "health of %.64q is not known here; there are %q (this node) and %q (it leads now)", r.GetService(), healthOverall, healthLeader)
	}
	return &healthv1.HealthCheckResponse{Status: word}, nil
}

func (s healthService) List(context.Context, *healthv1.HealthListRequest) (*healthv1.HealthListResponse, error) {
	r := &healthv1.HealthListResponse{Statuses: map[string]*healthv1.HealthCheckResponse{}}
	for _, service := range []string{healthOverall, healthLeader} {
		word, _, _ := s.n.health(service)
		r.Statuses[service] = &healthv1.HealthCheckResponse{Status: word}
	}
	return r, nil
}

// Watch sends the present health and then every change of it, until the client
// goes away or this coordinator stops.
func (s healthService) Watch(r *healthv1.HealthCheckRequest, stream healthv1.Health_WatchServer) error {
	sent := healthv1.HealthCheckResponse_UNKNOWN
	again := time.NewTimer(durations.HealthAgain)
	defer again.Stop()
	for {
		published := s.n.o.Hub.Published() // before the view is read
		word, until, _ := s.n.health(r.GetService())
		if word != sent {
			if err := stream.Send(&healthv1.HealthCheckResponse{Status: word}); err != nil {
				return err
			}
			sent = word
		}
		again.Reset(min(max(until.Sub(s.n.o.Clock()), 0), durations.HealthAgain))
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.n.o.Hub.Ended:
			return reason.ErrStopping
		case <-published:
		case <-again.C:
		}
	}
}
