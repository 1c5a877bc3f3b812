package coordinator

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/client"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/internal/wal"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// dial connects to the node's TCP port.
func (n *testNode) dial() *grpc.ClientConn {
	n.t.Helper()
	conn, err := grpc.NewClient(n.address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestServices(t *testing.T) {
	nodes := startRing(t, "n1", "n2")
	n1, n2 := nodes[0], nodes[1]
	ctx := n1.ctx()

	t.Run("health", func(t *testing.T) {
		for _, n := range nodes {
			client := healthv1.NewHealthClient(n.dial())
			for service, want := range map[string]healthv1.HealthCheckResponse_ServingStatus{"": healthv1.HealthCheckResponse_SERVING, "arc.leader": leaderWord(n == n1)} {
				r, err := client.Check(ctx, &healthv1.HealthCheckRequest{Service: service})
				if err != nil || r.GetStatus() != want {
					t.Errorf("health of %q at %s: %v, %v; want %v", service, n.o.Name, r, err, want)
				}
			}
		}
	})
	t.Run("the local service is not on the network", func(t *testing.T) {
		s, err := localv1.NewLocalServiceClient(n1.dial()).Monitor(ctx)
		if err == nil {
			_, err = s.Recv()
		}
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("got %v, want Unimplemented", err)
		}
	})
	t.Run("only the own monitor registers", func(t *testing.T) {
		for _, r := range []*localv1.Registration{{Pid: int64(os.Getpid()), Incarnation: n1.n.incarnation}, {Pid: 1, Incarnation: 1}} {
			s, err := localv1.NewLocalServiceClient(n1.conn).Monitor(ctx)
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Send(&localv1.MonitorRequest{Body: &localv1.MonitorRequest_Registration{Registration: r}})
			if _, err := s.Recv(); status.Code(err) != codes.PermissionDenied {
				t.Errorf("registration %v: %v, want PermissionDenied", r, err)
			}
		}
	})
	t.Run("a probe is answered with who answers", func(t *testing.T) {
		v := n1.n.hub.Load()
		m, _ := v.Ring.Member(2)
		wanted := ring.Wanted{Cluster: n1.o.Cluster, RingID: n1.n.hub.Load().RingID, Name: m.Name, ID: m.ID, Incarnation: m.Incarnation}
		paths := n1.n.look(ctx, wanted, []string{n1.address(), n2.address()}, 5*time.Second)
		found := wanted.Look(paths)
		if found.Match != ring.Itself || !slices.ContainsFunc(paths, func(p ring.Path) bool { return p.Outcome == ring.PathOwn }) {
			t.Errorf("found %+v on %+v, want n2 itself, and the own address not dialled", found, paths)
		}
	})
	t.Run("settings are changed via any member", func(t *testing.T) {
		r, err := n2.client.SetSettings(ctx, &arcv1.SetSettingsRequest{Changes: map[string]string{"misses": "7"}})
		if err != nil || r.GetSettings().GetMisses() != 7 || r.GetSettings().GetProfile() != "custom" {
			t.Fatalf("set: %v, %v", r, err)
		}
		if _, err := n2.client.SetSettings(ctx, &arcv1.SetSettingsRequest{Changes: map[string]string{"misses": "0"}}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("misses 0: %v, want InvalidArgument", err)
		}
		got, err := n1.client.GetSettings(ctx, &arcv1.GetSettingsRequest{})
		if err != nil || got.GetSettings().GetMisses() != 7 || got.GetEpoch() != r.GetEpoch() {
			t.Errorf("get: %v, %v", got, err)
		}
	})
	t.Run("a name in use", func(t *testing.T) {
		o := testOptions(t, "n2")
		o.Join = []string{n1.address()}
		err := Run(ctx, o)
		if status.Code(err) != codes.AlreadyExists || !strings.Contains(err.Error(), n2.address()) || !strings.Contains(err.Error(), "--name") {
			t.Errorf("a second n2 ended with %v, want AlreadyExists with the address of the first", err)
		}
	})
	t.Run("another cluster", func(t *testing.T) {
		o := testOptions(t, "n3")
		o.Cluster, o.Join = "other", []string{n1.address()}
		if err := Run(ctx, o); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), `"other"`) {
			t.Errorf("it ended with %v, want FailedPrecondition", err)
		}
	})
	t.Run("a witness never leads", func(t *testing.T) {
		o := testOptions(t, "w")
		o.Witness, o.Join = true, []string{n2.address()}
		w := start(t, o)
		w.awaitLeader("n1", 3)
		if _, err := n1.client.Handover(ctx, &arcv1.HandoverRequest{Name: "w"}); reason.Of(err) != "WITNESS" {
			t.Errorf("handover: %v, want WITNESS", err)
		}
		if err := w.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Run("relink", func(t *testing.T) {
		o := testOptions(t, "n3")
		o.Join = []string{n1.address()}
		n3 := start(t, o)
		n3.awaitLeader("n1", 3)
		for n3.awaitMonitor(); ; {
			if r, err := n3.client.Relink(ctx, &arcv1.RelinkRequest{}); err != nil || r.GetTarget() == "n1" {
				break
			}
		}
		w, err := n3.client.Watch(ctx, &arcv1.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Recv(); err != nil {
			t.Fatal(err)
		}
		r, err := n3.client.Relink(ctx, &arcv1.RelinkRequest{})
		if err != nil || r.GetTarget() != "n1" {
			t.Errorf("relink: %v, %v; want n1", r, err)
		}
		if r, err := n3.client.Relink(ctx, &arcv1.RelinkRequest{Target: "n2"}); err != nil || r.GetTarget() != "n2" {
			t.Errorf("relink to n2: %v, %v", r, err)
		} else if want := 5 * n3.n.hub.Load().Ring.Settings.Detection(false); time.Duration(r.GetForMs())*time.Millisecond != want {
			t.Errorf("relink to n2 for %d ms, want the default of %v", r.GetForMs(), want)
		} else if l := n3.status().GetTemporaryLink(); l.GetTarget() != "n2" || l.GetLeftMs() <= 0 || l.GetLeftMs() > float64(want.Milliseconds()) {
			t.Errorf("temporary link in status: %v, want n2 for at most %v", l, want)
		}
		e := nextOf(t, w, "relinked")
		if e.GetRelinked().GetTarget() == "n1" {
			e = nextOf(t, w, "relinked") // the first one was that of the join
		}
		if e.GetRelinked().GetTarget() != "n2" || !e.GetRelinked().GetTemporary() {
			t.Errorf("event %v, want relinked to n2 for the time being", e)
		}
		// The next epoch undoes it.
		if _, err := n1.client.SetSettings(ctx, &arcv1.SetSettingsRequest{Changes: map[string]string{"profile": "lan"}}); err != nil {
			t.Fatal(err)
		}
		if e := nextOf(t, w, "relinked"); e.GetRelinked().GetTarget() != "n1" {
			t.Errorf("event %v, want relinked to n1", e)
		}
		if l := n3.status().GetTemporaryLink(); l != nil {
			t.Errorf("temporary link in status after the next epoch: %v", l)
		}
		if _, err := n3.client.Relink(ctx, &arcv1.RelinkRequest{Target: "n2", ForMs: 3_600_000}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("relink for an hour: %v, want InvalidArgument", err)
		}
		for name, code := range map[string]codes.Code{"n3": codes.InvalidArgument, "nobody": codes.NotFound} {
			if _, err := n3.client.Relink(ctx, &arcv1.RelinkRequest{Target: name}); status.Code(err) != code {
				t.Errorf("relink to %s: %v, want %v", name, err, code)
			}
		}
	})
	t.Run("a killed monitor is replaced", func(t *testing.T) {
		pid := n1.awaitMonitor()
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		testwait.Until(t, 15*time.Second, "a new monitor registers", func() bool { return n1.awaitMonitor() != pid })
		if r, err := n1.client.Relink(ctx, &arcv1.RelinkRequest{}); err != nil || r.GetTarget() != "n2" {
			t.Errorf("the new one's link: %v, %v; want n2", r, err)
		}
	})
}

// awaitMonitor waits until the node's monitor has registered, and returns its pid.
func (n *testNode) awaitMonitor() int {
	n.t.Helper()
	var pid int
	testwait.UntilNil(n.t, 15*time.Second, n.o.Name+"'s monitor registers", func() error {
		if _, err := n.client.Relink(n.ctx(), &arcv1.RelinkRequest{}); err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(n.o.RunDir, monitorPidName))
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(b)))
		}
		return err
	})
	return pid
}

func nextOf(t *testing.T, w arcv1.ArcService_WatchClient, kind string) *arcv1.Event {
	t.Helper()
	for {
		r, err := w.Recv()
		if err != nil {
			t.Fatalf("waiting for an event %s: %v", kind, err)
		}
		if e := r.GetEvent(); client.EventType(e) == kind {
			return e
		}
	}
}

// A member that was killed and comes back elsewhere without its disk takes its
// name back, once its own ring has evicted it.
func TestTheNameOfADeadMemberIsFree(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	dead := ring.Opinion{ID: 3, Incarnation: nodes[2].n.incarnation, Word: ring.Suspect{Evidence: ring.Refused}}
	nodes[2].n.stopAs(errCrash)
	nodes[2].reap()
	if err := nodes[1].n.loop.Load().Report(dead); err != nil { // as its monitor does
		t.Fatal(err)
	}
	o := testOptions(t, "n3")
	o.Join = []string{nodes[0].address()}
	again := start(t, o)
	st := again.awaitLeader("n1", 3)
	if got := ids(st); !slices.Equal(got, []uint64{1, 2, 4}) {
		t.Errorf("members %v, want 1 2 4", got)
	}
}

func TestDirectoriesAreForOne(t *testing.T) {
	n := startRing(t, "n1")[0]
	for name, c := range map[string]struct {
		edit func(*Options)
		is   error
		says string
	}{
		"the same run directory":  {func(o *Options) { o.RunDir = n.o.RunDir }, reason.ErrRunning, strconv.Itoa(os.Getpid())},
		"the same data directory": {func(o *Options) { o.DataDir = n.o.DataDir }, wal.ErrLocked, "--data-dir"},
	} {
		o := testOptions(t, "n1")
		o.Bootstrap = true
		c.edit(&o)
		if err := Run(n.ctx(), o); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v that says %s", name, err, c.is, c.says)
		}
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(n.o.RunDir, "*")); len(left) != 0 {
		t.Errorf("left in the run directory: %v", left)
	}
	o := testOptions(t, "n2")
	o.Bootstrap, o.DataDir = true, n.o.DataDir
	if err := Run(n.ctx(), o); !errors.Is(err, wal.ErrForeign) {
		t.Errorf("another node's data directory: %v, want ErrForeign", err)
	}
	_, port, _ := net.SplitHostPort(n.address())
	taken, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o = testOptions(t, "n1")
	o.Bootstrap = true
	o.Port, _ = strconv.Atoi(port)
	if err := Run(n.ctx(), o); !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), "--port") {
		t.Errorf("a taken port: %v, want EADDRINUSE and what to do", err)
	}
}

func TestValidate(t *testing.T) {
	good := testOptions(t, "n1")
	good.Bootstrap = true
	if err := good.Validate(); err != nil {
		t.Fatalf("good options: %v", err)
	}
	for name, c := range map[string]struct {
		edit func(*Options)
		says string
	}{
		"an open address":       {func(o *Options) { o.Bind = []netip.Addr{netip.MustParseAddr("10.0.0.1")} }, "--insecure"},
		"every address":         {func(o *Options) { o.Bind = []netip.Addr{netip.IPv4Unspecified()} }, "--insecure"},
		"two ways of founding":  {func(o *Options) { o.Expect = 3 }, "--bootstrap"},
		"founding unheard":      {func(o *Options) { o.Bootstrap, o.Expect = false, 3 }, "--no-autodiscovery"},
		"no way to a ring":      {func(o *Options) { o.Bootstrap = false }, "--join"},
		"a profile unknown":     {func(o *Options) { o.Profile = "slow" }, "slow"},
		"a leading witness":     {func(o *Options) { o.Witness, o.OnJoin = true, "lead" }, "witness"},
		"a founding witness":    {func(o *Options) { o.Witness, o.Bootstrap, o.Expect = true, false, 1 }, "witness"},
		"a bad address to join": {func(o *Options) { o.Join = []string{"there"} }, "there"},
		"a name like a list":    {func(o *Options) { o.Name = "a,b" }, `--name "a,b" has a comma`},
		"a cluster unseen":      {func(o *Options) { o.Cluster = "\u3164" }, `--cluster "\u3164"`},
	} {
		o := good
		c.edit(&o)
		err := o.Validate()
		if !errors.Is(err, reason.ErrUsage) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrUsage that says %s", name, err, c.says)
		}
	}
	bad := Options{}
	if err := bad.Validate(); strings.Count(err.Error(), "\n") < 5 {
		t.Errorf("of many problems it says only %q", err)
	}
}

// What an earlier version called a node and a cluster stays, also for those who join
// later.
func TestARingKeepsItsNames(t *testing.T) {
	o := testOptions(t, "a,b")
	o.Cluster, o.Bootstrap = "x,\u3164", true
	if err := o.Validate(); !errors.Is(err, reason.ErrUsage) {
		t.Errorf("without a ring: %v, want ErrUsage", err)
	}
	l, _, err := wal.Open(o.DataDir, wal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Init(wal.Identity{Cluster: o.Cluster, RingID: "r", Name: o.Name, ID: 1}, wal.Batch{Sync: true}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := o.Validate(); err != nil {
		t.Errorf("with a ring: %v", err)
	}
	joiner := testOptions(t, "n2")
	joiner.Cluster, joiner.Join = o.Cluster, []string{"127.0.0.1:7400"}
	if err := joiner.Validate(); err != nil {
		t.Errorf("who joins it: %v", err)
	}
}

// The leader gives nobody a name that a command line could not name in a list.
func TestALeaderRefusesANameLikeAList(t *testing.T) {
	o := testOptions(t, "n1")
	o.Bootstrap = true
	n := start(t, o)
	n.awaitLeader("n1", 1)
	_, err := n.client.Join(n.ctx(), &arcv1.JoinRequest{Cluster: o.Cluster, Name: "a,b", Incarnation: 7, Nonce: 7, Addresses: []string{"127.0.0.1:1"}})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "--name") {
		t.Errorf("got %v, want a refusal that says what to do", err)
	}
}

func TestProbeOutcomes(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := free.Addr().String()
	_ = free.Close()
	for name, c := range map[string]struct {
		addresses []string
		want      election.ProbeOutcome
	}{
		"refused":             {[]string{refused}, election.NobodyListens},
		"silent":              {[]string{silent.Addr().String()}, election.Unanswered},
		"refused and silent":  {[]string{refused, silent.Addr().String()}, election.Unanswered},
		"no address is known": {nil, election.Unanswered},
	} {
		n, p := newNode(testOptions(t, "test")), election.Probe{Wanted: ring.Wanted{ID: 2, Incarnation: 20}}
		if got := p.Result(n.look(context.Background(), p.Wanted, c.addresses, 100*time.Millisecond)); got.Outcome != c.want {
			t.Errorf("%s: %v, want %v", name, got.Outcome, c.want)
		}
	}
}

// leaderWord is the health of a leader's service.
func leaderWord(leads bool) healthv1.HealthCheckResponse_ServingStatus {
	if leads {
		return healthv1.HealthCheckResponse_SERVING
	}
	return healthv1.HealthCheckResponse_NOT_SERVING
}
