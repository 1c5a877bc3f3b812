package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/fakearc"
	"github.com/arc-ring/arc/internal/limits"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The longest path of a socket leads to it, and the error of a longer one says how long
// it may be.
func TestALongSocketPath(t *testing.T) {
	dir, err := os.MkdirTemp("", "arc") // whose name is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	longest := filepath.Join(dir, strings.Repeat("s", limits.SocketPath-len(dir)-1))
	lis, err := net.Listen("unix", longest)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if _, err := net.Listen("unix", longest+"s"); !errors.Is(err, unix.EINVAL) {
		t.Errorf("the kernel takes a longer path: %v", err)
	}
	if addr, err := parseAddr(longest); err != nil || addr != unixPrefix+longest {
		t.Errorf("%s: %s, %v", longest, addr, err)
	}
	if _, err := New(unixPrefix + longest + "s"); !errors.Is(err, ErrBadAddr) || !strings.Contains(err.Error(), fmt.Sprintf("at most %d bytes", limits.SocketPath)) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestParseAddr(t *testing.T) {
	cases := []struct {
		addr    string
		want    string
		wantErr string
	}{
		{"unix:///run/arc/arc.sock", "unix:///run/arc/arc.sock", ""},
		{"unix:arc.sock", "unix://arc.sock", ""},
		{"/run/arc/arc.sock", "unix:///run/arc/arc.sock", ""},
		{"./arc.sock", "unix://./arc.sock", ""},
		{"n1:7400", "n1:7400", ""},
		{"[::1]:7400", "[::1]:7400", ""},
		{"n1", "", `"n1" has no port, want host:port or unix:///path/to/arc.sock`},
		{"10.0.0.1", "", `"10.0.0.1" has no port`},
		{"fd00::1", "", `"fd00::1" has no port`},
		{"[fd00::1]", "", `"[fd00::1]" has no port`},
		{":7400", "", `":7400" has no host, want host:port`},
		{"n1:7400:7400", "", `"n1:7400:7400" is not host:port or unix:///path/to/arc.sock`},
		{"n1:port", "", `port "port"`},
		{"n1:0", "", `port "0"`},
		{"unix://", "", "names no socket"},
		{"unix:///run/arc/", "", "names no socket"},
		{"unix:///" + strings.Repeat("d", 110), "", "at most 107 bytes"},
		{"", "", `"" is not host:port or unix:///`},
	}
	for _, c := range cases {
		got, err := parseAddr(c.addr)
		if got != c.want || (err == nil) != (c.wantErr == "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
			t.Errorf("parseAddr(%q) = %v, %v; want %v, %q", c.addr, got, err, c.want, c.wantErr)
		}
	}
}

func TestAddrAndRunDir(t *testing.T) {
	env := func(m map[string]string) func(string) (string, bool) {
		return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
	}
	cases := []struct {
		env  map[string]string
		uid  int
		want string
	}{
		{nil, 0, "unix:///run/arc/arc.sock"},
		{map[string]string{"XDG_RUNTIME_DIR": "/run/user/7"}, 0, "unix:///run/arc/arc.sock"},
		{map[string]string{"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "unix:///run/user/7/arc/arc.sock"},
		{map[string]string{"ARC_RUN_DIR": "/x", "XDG_RUNTIME_DIR": "/run/user/7"}, 7, "unix:///x/arc.sock"},
		{map[string]string{"ARC_RUN_DIR": "/x", "ARC_ADDR": "n1:7400"}, 7, "n1:7400"},
	}
	for _, c := range cases {
		if got := Addr(env(c.env), c.uid); got != c.want {
			t.Errorf("Addr(%v, %d) = %q, want %q", c.env, c.uid, got, c.want)
		}
	}
}

func serve(t *testing.T, s *fakearc.Server) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), SocketName)
	stop, err := s.Serve(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return dialTo(t, "unix://"+path)
}

func dialTo(t *testing.T, addr string) *Client {
	t.Helper()
	c, err := New(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func short(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// What the coordinator says and what the transport says must not be mixed up:
// both use the code Unavailable.
func TestErrorKinds(t *testing.T) {
	for code, kind := range kinds {
		t.Run(code.String(), func(t *testing.T) {
			c := serve(t, &fakearc.Server{HandoverFunc: func(context.Context, *arcv1.HandoverRequest) (*arcv1.HandoverResponse, error) {
				return nil, status.Error(code, "said so")
			}})
			_, err := c.Handover(short(t, 10*time.Second), "")
			if !errors.Is(err, kind) || errors.Is(err, ErrUnreachable) {
				t.Errorf("code %v gives %v, want kind %v", code, err, kind)
			}
			if got, want := err.Error(), "handover: said so"; got != want {
				t.Errorf("text %q, want %q", got, want)
			}
		})
	}
}

// The deadline of a call goes with it. If the coordinator notices its end first,
// that is no answer of its own.
func TestADeadlineThatTheOtherSideNoticesFirst(t *testing.T) {
	c := serve(t, &fakearc.Server{HandoverFunc: func(context.Context, *arcv1.HandoverRequest) (*arcv1.HandoverResponse, error) {
		return nil, status.FromContextError(context.DeadlineExceeded).Err()
	}})
	_, err := c.Handover(short(t, 10*time.Second), "")
	if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), ErrTimeout.Error()) {
		t.Errorf("got %v, want %v", err, ErrTimeout)
	}
}

func TestReasonBeatsCode(t *testing.T) {
	for _, r := range []struct {
		reason string
		code   codes.Code
		kinds  string
		text   string
	}{
		{"BUSY", codes.Aborted, "ErrRefused", "handover: said so"},
		{"STOPPING", codes.Unavailable, "ErrUnreachable", "handover: said so"}, // as good as gone, but it did answer
		{"STORAGE", codes.Unavailable, "", "handover: said so; that coordinator ends; a change may or may not take effect: look with arc status at another member"},
		{"NO_LEADER", codes.Unavailable, "ErrNoLeader", "handover: said so"},
		{"CERTIFICATE_ENDED", codes.Unauthenticated, "ErrCertificate", "handover: said so"},
	} {
		c := serve(t, &fakearc.Server{HandoverFunc: func(context.Context, *arcv1.HandoverRequest) (*arcv1.HandoverResponse, error) {
			st, err := status.New(r.code, "said so").WithDetails(&errdetails.ErrorInfo{Reason: r.reason, Domain: "arc"})
			if err != nil {
				return nil, err
			}
			return nil, st.Err()
		}})
		if _, err := c.Handover(short(t, 10*time.Second), ""); kindsOf(err) != r.kinds || err.Error() != r.text {
			t.Errorf("%s: %q is %q, want %q, %q", r.reason, err, kindsOf(err), r.text, r.kinds)
		}
	}
}

func TestNoSocket(t *testing.T) {
	c := dialTo(t, "unix://"+filepath.Join(t.TempDir(), SocketName))
	_, err := c.Status(short(t, 10*time.Second))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "no such file") || !strings.Contains(err.Error(), "arc coordinator") {
		t.Errorf("got %v, want unreachable with the cause and a hint", err)
	}
}

// An ordinary user looks in a directory of its own, and root's coordinator is
// elsewhere. Root itself may have named another socket.
func TestRootsCoordinatorIsNamed(t *testing.T) {
	const roots, own = "unix:///run/arc/arc.sock", "unix:///tmp/arc-65534/arc.sock"
	for _, c := range []struct {
		name  string
		cause error
		addr  string
		uid   int
		seen  error // what a look at root's socket says
		want  string
	}{
		{"a user's", fs.ErrNotExist, own, 65534, nil, "root's coordinator is at " + roots + ": run as root"},
		{"a user's, left behind", syscall.ECONNREFUSED, own, 65534, nil, "root's coordinator is at " + roots},
		{"a user's, and root's is closed", fs.ErrNotExist, own, 65534, fs.ErrPermission, "/run/arc is closed to you"},
		{"asked by root", fs.ErrNotExist, "unix:///nope", 0, nil, "this machine's coordinator is at " + roots + ": give --addr " + roots},
		{"none there", fs.ErrNotExist, own, 65534, fs.ErrNotExist, "is a coordinator running there?"},
		{"root's own", fs.ErrNotExist, roots, 0, nil, "is a coordinator running there?"},
		{"root's own by its path", fs.ErrNotExist, "/run/arc/arc.sock", 65534, nil, "is a coordinator running there?"},
		{"another machine's", syscall.ECONNREFUSED, "10.0.0.1:7400", 65534, nil, "is a coordinator running there?"},
		{"another cause", fs.ErrPermission, own, 65534, nil, "run as the coordinator's user, or as root"},
	} {
		look := func(path string) (fs.FileInfo, error) {
			if path != "/run/arc/arc.sock" {
				t.Errorf("%s: a look at %s", c.name, path)
			}
			return nil, c.seen
		}
		got := hint(c.cause, c.addr, c.uid, look)
		if !strings.HasPrefix(got, c.want) || c.uid == 0 && strings.Contains(got, "as root") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := lis.Addr().String()
	_ = lis.Close()
	c := dialTo(t, addr)
	_, err = c.Status(short(t, 10*time.Second))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v, want unreachable, connection refused", err)
	}
}

// A host that does not exist answers no dial, and nobody took the call.
func TestNoConnectionInTime(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port)).String()
	// Nobody accepts: once the queue is full, the kernel answers no more.
	for {
		conn, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			break
		}
		defer conn.Close()
	}
	c := dialTo(t, addr)
	_, err = c.Status(short(t, 200*time.Millisecond))
	if !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrTimeout) {
		t.Errorf("got %v, want unreachable", err)
	}
}

// A stopped process's socket still accepts, by the kernel's hand.
func TestSilentListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	lis, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	c := dialTo(t, "unix://"+path)
	_, err = c.Status(short(t, 200*time.Millisecond))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "nothing is said") {
		t.Errorf("got %v, want unreachable, nothing said", err)
	}
}

func TestServerTooSlow(t *testing.T) {
	c := serve(t, &fakearc.Server{HandoverFunc: func(ctx context.Context, _ *arcv1.HandoverRequest) (*arcv1.HandoverResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	_, err := c.Handover(short(t, 200*time.Millisecond), "")
	if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want a timeout that is not unreachable", err)
	}
}

func TestWatchEndsWithItsServer(t *testing.T) {
	for _, how := range []string{"clean", "broken"} {
		t.Run(how, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), SocketName)
			end := make(chan struct{})
			s := &fakearc.Server{WatchFunc: func(_ *arcv1.WatchRequest, w grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
				if err := w.Send(&arcv1.WatchResponse{Event: fakearc.Event(nil, "snapshot", nil)}); err != nil {
					return err
				}
				select {
				case <-end:
				case <-w.Context().Done():
				}
				return nil
			}}
			stop, err := s.Serve(path)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			c := dialTo(t, "unix://"+path)
			w, err := c.Watch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if ev, err := w.Recv(); err != nil || EventType(ev) != "snapshot" {
				t.Fatalf("first Recv: %v, %v", ev, err)
			}
			if how == "clean" {
				close(end)
			} else {
				stop()
			}
			if _, err := w.Recv(); !errors.Is(err, ErrUnreachable) {
				t.Errorf("got %v, want unreachable", err)
			}
		})
	}
}

func TestWatchCancelled(t *testing.T) {
	c := serve(t, &fakearc.Server{WatchFunc: func(_ *arcv1.WatchRequest, w grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
		<-w.Context().Done()
		return nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	w, err := c.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := w.Recv(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestAwaitLeader(t *testing.T) {
	var calls, claims atomic.Int64
	c := serve(t, &fakearc.Server{StatusFunc: func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
		st := &arcv1.StatusResponse{Self: "n1"}
		if calls.Add(1) > 2 {
			st.Leader = &arcv1.NodeRef{Id: 1, Name: "n1"}
			st.Claiming = claims.Add(1) > 2
		}
		return st, nil
	}})
	st, err := c.AwaitLeader(short(t, 20*time.Second), false)
	if err != nil || st.GetLeader().GetName() != "n1" || st.GetClaiming() {
		t.Errorf("AwaitLeader: %v, %v", st, err)
	}
	st, err = c.AwaitLeader(short(t, 20*time.Second), true)
	if err != nil || !st.GetClaiming() {
		t.Errorf("AwaitLeader(self): %v, %v", st, err)
	}
}

func TestAwaitLeaderGivesUp(t *testing.T) {
	for name, answers := range map[string]int64{"it answers on": 1 << 40, "its last answer comes too late": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			c := serve(t, &fakearc.Server{StatusFunc: func(ctx context.Context, _ *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
				if calls.Add(1) > answers {
					<-ctx.Done()
				}
				return &arcv1.StatusResponse{Reason: "2 of 3 voters are silent"}, nil
			}})
			_, err := c.AwaitLeader(short(t, 2*time.Second), false)
			if !errors.Is(err, ErrNoLeader) || !strings.Contains(err.Error(), "2 of 3 voters are silent") {
				t.Errorf("got %v, want no leader with the coordinator's reason", err)
			}
		})
	}
}

// The coordinator may come up later than the program that waits for it.
func TestAwaitLeaderOutlivesAnAbsentCoordinator(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	c := dialTo(t, "unix://"+path)
	if _, err := c.Status(short(t, 10*time.Second)); !errors.Is(err, ErrUnreachable) {
		t.Fatalf("before the server: %v", err)
	}
	s := &fakearc.Server{StatusFunc: func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
		return &arcv1.StatusResponse{Leader: &arcv1.NodeRef{Id: 2, Name: "n2"}}, nil
	}}
	type result struct {
		st  *arcv1.StatusResponse
		err error
	}
	got := make(chan result, 1)
	ctx := short(t, 20*time.Second)
	go func() {
		st, err := c.AwaitLeader(ctx, false)
		got <- result{st, err}
	}()
	stop, err := s.Serve(path)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if r := <-got; r.err != nil || r.st.GetLeader().GetName() != "n2" {
		t.Errorf("got %v, %v", r.st, r.err)
	}
}

// Somebody else made the default run directory, and listens there.
func TestRunDirectoryOfSomebodyElseIsNotAsked(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make directories of others")
	}
	t.Setenv("TMPDIR", t.TempDir())
	dir := sharedRunDir(0)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	stop, err := (&fakearc.Server{}).Serve(filepath.Join(dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ask := func() error {
		c, err := New(SocketAddr(dir))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err = c.Status(ctx)
		return err
	}
	if err := ask(); err != nil && strings.Contains(err.Error(), "default run directory") {
		t.Errorf("the own directory: %v", err)
	}
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
		t.Errorf("the directory of user 12345: %v", err)
	}
}
