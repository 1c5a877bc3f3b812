package service

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/ring"
)

const (
	serving    = healthv1.HealthCheckResponse_SERVING
	notServing = healthv1.HealthCheckResponse_NOT_SERVING
)

// leads is the view of member 1, which leads with token 7 until end.
func leads(t *testing.T, end election.Instant) *publish.View {
	return &publish.View{Phase: publish.Member, ID: 1, RingID: "r", ClaimTerm: 7, ClaimEnd: end, LeaderEnd: end,
		Ring:   &ring.State{RingID: "r", Term: 7, LeaderID: 1, Members: []ring.Member{{ID: 1, Name: "n1"}, {ID: 2, Name: "n2"}}, Settings: profile(t, "lan")},
		Status: election.Status{Leader: 1, Declared: true}}
}

// testServers are services of a node that is no member.
func testServers(clock func() election.Instant) *Servers {
	return &Servers{o: Options{Name: "n1", Cluster: "test", Incarnation: 7, Log: hclog.NewNullLogger(), Clock: clock,
		Hub:  publish.NewHub(clock, &publish.View{Phase: publish.Joining, Ring: &ring.State{}}),
		Loop: func() Loop { return nil }}}
}

func TestHealthOfAClaimIsReadAtTheMomentOfAsking(t *testing.T) {
	now := mono.Instant(10 * time.Second)
	n := testServers(func() election.Instant { return now })
	n.o.Hub.Publish(leads(t, now.Add(500*time.Millisecond)), nil)
	check := func(service string) healthv1.HealthCheckResponse_ServingStatus {
		t.Helper()
		r, err := healthService{n: n}.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus()
	}
	for at, want := range map[time.Duration]healthv1.HealthCheckResponse_ServingStatus{
		0: serving, 499 * time.Millisecond: serving, 500 * time.Millisecond: notServing, time.Hour: notServing,
	} {
		now = mono.Instant(10*time.Second + at)
		if got := check(healthLeader); got != want {
			t.Errorf("%v after the renewal, without a word of the event loop: %v, want %v", at, got, want)
		}
		if got, want := check(healthOverall), healthWord(at < 3500*time.Millisecond); got != want {
			t.Errorf("%v after the renewal this node as a whole is %v, want %v", at, got, want)
		}
	}
	now = mono.Instant(11 * time.Second)
	if _, err := (healthService{n: n}).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown service: %v, want NotFound", err)
	}
	r, err := healthService{n: n}.List(t.Context(), nil)
	if err != nil || r.GetStatuses()[healthOverall].GetStatus() != serving || r.GetStatuses()[healthLeader].GetStatus() != notServing {
		t.Errorf("list: %v, %v", r, err)
	}
}

func TestHealthAsAWhole(t *testing.T) {
	const now = time.Minute
	with := func(change func(*publish.View)) *publish.View {
		v := leads(t, election.Never)
		v.ClaimTerm, v.ClaimEnd = 0, 0
		change(v)
		return v
	}
	noLeader := func(since election.Instant) *publish.View {
		return with(func(v *publish.View) { v.Status, v.LeaderEnd, v.Leaderless = election.Status{}, 0, since })
	}
	for name, c := range map[string]struct {
		view  *publish.View
		stuck time.Duration
		want  bool
	}{
		"a follower":                         {view: with(func(*publish.View) {}), want: true},
		"the event loop is at a turn":        {view: with(func(*publish.View) {}), stuck: 100 * time.Millisecond, want: true},
		"the event loop hangs":               {view: with(func(*publish.View) {}), stuck: time.Second, want: false},
		"an election":                        {view: noLeader(mono.Instant(now - 500*time.Millisecond)), want: true},
		"without a leader for long":          {view: noLeader(mono.Instant(now - 4*time.Second)), want: false},
		"leaving":                            {view: with(func(v *publish.View) { v.Phase = publish.Leaving }), want: false},
		"joining":                            {view: &publish.View{Phase: publish.Joining, Ring: &ring.State{}}, want: true},
		"founding":                           {view: &publish.View{Phase: publish.Founding, Ring: &ring.State{}}, want: true},
		"joining a ring that misses a disk":  {view: &publish.View{Phase: publish.Joining, Ring: &ring.State{}, WaitsFor: "needs n3"}, want: false},
		"joined, the ring's state is coming": {view: &publish.View{Phase: publish.Member, Ring: &ring.State{}, Leaderless: mono.Instant(now)}, want: true},
	} {
		if got, _ := able(c.view, mono.Instant(now), c.stuck); got != c.want {
			t.Errorf("%s: able %v, want %v", name, got, c.want)
		}
	}
}

// healthStream is the client of a Watch.
type healthStream struct {
	grpc.ServerStream
	ctx context.Context
	got chan healthv1.HealthCheckResponse_ServingStatus
}

func (s *healthStream) Context() context.Context { return s.ctx }
func (s *healthStream) Send(r *healthv1.HealthCheckResponse) error {
	s.got <- r.GetStatus()
	return nil
}

func TestAWatchedHealthChangesWhenTheLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := time.Now()
		n := testServers(func() election.Instant { return mono.Instant(time.Since(origin) + time.Hour) })
		stream := &healthStream{ctx: t.Context(), got: make(chan healthv1.HealthCheckResponse_ServingStatus)}
		ended := make(chan error, 1)
		go func() {
			ended <- healthService{n: n}.Watch(&healthv1.HealthCheckRequest{Service: healthLeader}, stream)
		}()
		expect := func(what string, want healthv1.HealthCheckResponse_ServingStatus, after time.Duration) {
			t.Helper()
			from := time.Now()
			if got := <-stream.got; got != want || time.Since(from) != after {
				t.Errorf("%s: %v after %v, want %v after %v", what, got, time.Since(from), want, after)
			}
		}
		expect("at first", notServing, 0)
		n.o.Hub.Publish(leads(t, n.o.Clock().Add(490*time.Millisecond)), nil)
		expect("it claims", serving, 0)
		synctest.Wait()
		n.o.Hub.Publish(leads(t, n.o.Clock().Add(700*time.Millisecond)), nil)
		expect("renewed, then no more", notServing, 700*time.Millisecond)
		n.o.Hub.Publish(leads(t, election.Never), nil)
		expect("alone", serving, 0)
		n.o.Hub.Close()
		if err := <-ended; err == nil {
			t.Error("the watch ends without a reason when the coordinator stops")
		}
	})
}
