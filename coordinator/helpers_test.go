package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/internal/wal"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/queue"
)

const fakeMonitorEnv = "ARC_TEST_FAKE_MONITOR"

// TestMain is a fake monitor when a coordinator under test starts this binary
// as one: it registers, takes links, and ends with its queue.
func TestMain(m *testing.M) {
	if os.Getenv(fakeMonitorEnv) != "" {
		os.Exit(fakeMonitor(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

func fakeMonitor(args []string) int {
	flags := map[string]string{}
	for i := 0; i+1 < len(args); i += 2 {
		flags[args[i]] = args[i+1]
	}
	conn, err := grpc.NewClient("unix://"+flags["--socket"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake monitor:", err)
		return 1
	}
	incarnation, _ := strconv.ParseUint(flags["--incarnation"], 10, 64)
	alarmC := make(chan os.Signal, 16)
	signal.Notify(alarmC, unix.SIGUSR1)
	stream, err := localv1.NewLocalServiceClient(conn).Monitor(context.Background())
	if err == nil {
		err = stream.Send(&localv1.MonitorRequest{Body: &localv1.MonitorRequest_Registration{Registration: &localv1.Registration{Pid: int64(os.Getpid()), Incarnation: incarnation}}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake monitor:", err)
		return 1
	}
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := uint64(1); stream.Send(&localv1.MonitorRequest{Body: &localv1.MonitorRequest_Beat{Beat: n}}) == nil; n++ {
			<-tick.C
		}
	}()
	r, err := queue.Inherited(3)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake monitor:", err)
		return 1
	}
	for {
		if _, err := r.Receive(); err != nil {
			return 0
		}
	}
}

// testNode is a coordinator in this process.
type testNode struct {
	t      *testing.T
	o      Options
	n      *node
	cancel context.CancelFunc
	ended  chan struct{}
	err    error
	conn   *grpc.ClientConn
	client arcv1.ArcServiceClient
}

var quietLogs = sync.OnceValue(func() bool { return os.Getenv("ARC_TEST_LOG") == "" })

func testOptions(t *testing.T, name string) Options {
	t.Helper()
	dir := shortDir(t)
	log := hclog.NewNullLogger()
	if !quietLogs() {
		log = hclog.New(&hclog.LoggerOptions{Name: name, Level: hclog.Debug, TimeFormat: "05.000000"})
	}
	return Options{
		Name: name, Cluster: "test", Bind: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
		DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"), NoAutodiscovery: true, Profile: "lan",
		MonitorCommand: []string{"/usr/bin/env", fakeMonitorEnv + "=1", os.Args[0]}, Version: "test", Logger: log,
	}
}

// shortDir is a temporary directory whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "arc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, o Options) *testNode {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n := &testNode{t: t, o: o, cancel: cancel, ended: make(chan struct{})}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	var recovered wal.Recovered
	var err error
	testwait.UntilNil(t, 5*time.Second, o.Name+" starts", func() error {
		n.n = newNode(o)
		if recovered, err = n.n.open(ctx); err == nil {
			return nil
		}
		n.n.close()
		// A monitor that another coordinator of this process just starts has
		// the locks and the ports of all of them until it is another program.
		if !errors.Is(err, wal.ErrLocked) && !errors.Is(err, reason.ErrRunning) && !errors.Is(err, unix.EADDRINUSE) {
			cancel()
			t.Fatal(err)
		}
		return err
	})
	go func() {
		defer close(n.ended)
		n.err = n.n.run(ctx, recovered)
	}()
	n.conn, err = grpc.NewClient("unix://"+filepath.Join(o.RunDir, socketName), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	n.client = arcv1.NewArcServiceClient(n.conn)
	t.Cleanup(n.crash)
	return n
}

var errCrash = errors.New("crashed by the test")

// crash ends the coordinator without a word to anybody, and its monitor.
func (n *testNode) crash() {
	n.n.stopAs(errCrash)
	n.reap()
}

// stop ends the coordinator as SIGTERM does and returns what Run returned.
func (n *testNode) stop() error {
	n.cancel()
	n.reap()
	return n.err
}

func (n *testNode) reap() {
	<-n.ended
	n.cancel()
	_ = n.conn.Close()
	// A monitor that was not dismissed waits for this process to end. It may have been
	// started while the node ended.
	if b, err := os.ReadFile(filepath.Join(n.o.RunDir, monitorPidName)); err == nil {
		if p, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			_ = unix.Kill(p, unix.SIGKILL)
		}
		_ = os.Remove(filepath.Join(n.o.RunDir, monitorPidName))
	}
}

// again starts the node with its directories and at its port.
func (n *testNode) again() *testNode {
	n.t.Helper()
	o := n.o
	_, port, _ := net.SplitHostPort(n.address())
	o.Port, _ = strconv.Atoi(port)
	return start(n.t, o)
}

func (n *testNode) address() string { return n.n.reachedAt()[0] }

func (n *testNode) status() *arcv1.StatusResponse {
	n.t.Helper()
	st, err := n.client.Status(n.ctx(), &arcv1.StatusRequest{})
	if err != nil {
		select {
		case <-n.ended:
			n.t.Fatalf("%s ended: %v", n.o.Name, n.err)
		default:
		}
		n.t.Fatalf("status of %s: %v", n.o.Name, err)
	}
	return st
}

func (n *testNode) ctx() context.Context {
	// What follows one change may be many syncs of a disk that others use.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	n.t.Cleanup(cancel)
	return ctx
}

// await waits until the status satisfies what is asked for.
func (n *testNode) await(what string, ok func(*arcv1.StatusResponse) bool) *arcv1.StatusResponse {
	n.t.Helper()
	var st *arcv1.StatusResponse
	testwait.UntilNil(n.t, 15*time.Second, n.o.Name+": "+what, func() error {
		if st = n.status(); ok(st) {
			return nil
		}
		return fmt.Errorf("status: %v", st)
	})
	return st
}

func (n *testNode) awaitLeader(name string, members int) *arcv1.StatusResponse {
	n.t.Helper()
	return n.await(fmt.Sprintf("leader %q of %d", name, members), func(st *arcv1.StatusResponse) bool {
		return st.GetLeader().GetName() == name && len(st.GetMembers()) == members
	})
}
