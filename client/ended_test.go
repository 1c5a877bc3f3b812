package client

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/arc-ring/arc/internal/fakearc"
	"github.com/arc-ring/arc/internal/testwait"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// calls are all methods that ask a coordinator.
var calls = map[string]func(context.Context, *Client) error{
	"status":       func(ctx context.Context, c *Client) error { _, err := c.Status(ctx); return err },
	"full status":  func(ctx context.Context, c *Client) error { _, err := c.FullStatus(ctx); return err },
	"history":      func(ctx context.Context, c *Client) error { _, err := c.History(ctx, 0); return err },
	"relink":       func(ctx context.Context, c *Client) error { _, err := c.Relink(ctx, "", 0); return err },
	"relink for":   func(ctx context.Context, c *Client) error { _, err := c.Relink(ctx, "n2", time.Second); return err },
	"handover":     func(ctx context.Context, c *Client) error { _, err := c.Handover(ctx, ""); return err },
	"leave":        func(ctx context.Context, c *Client) error { _, err := c.Leave(ctx); return err },
	"evict":        func(ctx context.Context, c *Client) error { _, err := c.Evict(ctx, "n2"); return err },
	"forget":       func(ctx context.Context, c *Client) error { _, err := c.Forget(ctx, "n2"); return err },
	"settings":     func(ctx context.Context, c *Client) error { _, err := c.Settings(ctx); return err },
	"set settings": func(ctx context.Context, c *Client) error { _, err := c.SetSettings(ctx, nil); return err },
	"watch":        func(ctx context.Context, c *Client) error { _, err := c.Watch(ctx); return err },
	"await leader": func(ctx context.Context, c *Client) error { _, err := c.AwaitLeader(ctx, false); return err },
}

// sentinels are all kinds of errors, by their names.
var sentinels = map[string]error{
	"ErrBadAddr": ErrBadAddr, "ErrCertificate": ErrCertificate, "ErrClosed": ErrClosed, "ErrUnreachable": ErrUnreachable, "ErrNoLeader": ErrNoLeader, "ErrNotLeading": ErrNotLeading,
	"ErrInvalid": ErrInvalid, "ErrNotMember": ErrNotMember, "ErrRefused": ErrRefused, "ErrTimeout": ErrTimeout, "ErrTooOld": ErrTooOld,
}

// kindsOf lists the sentinels that an error is.
func kindsOf(err error) string {
	var names []string
	for name, kind := range sentinels {
		if errors.Is(err, kind) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// silent is a coordinator that says nothing more after the first event of a
// watch, and counts the calls.
func silent(calls *atomic.Int64) *fakearc.Server {
	return &fakearc.Server{
		StatusFunc: func(ctx context.Context, _ *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
			calls.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		},
		WatchFunc: func(_ *arcv1.WatchRequest, w grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
			calls.Add(1)
			if err := w.Send(&arcv1.WatchResponse{Event: fakearc.Event(nil, "snapshot", nil)}); err != nil {
				return err
			}
			<-w.Context().Done()
			return nil
		},
	}
}

// A closed client asks nothing, and no call waits: the contexts here have no end.
func TestClosedClient(t *testing.T) {
	var asked atomic.Int64
	c := serve(t, silent(&asked))
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Errorf("closing it twice: %v", err)
	}
	for name, call := range calls {
		err := call(context.Background(), c)
		if kindsOf(err) != "ErrClosed" || !strings.Contains(err.Error(), "the client is closed") {
			t.Errorf("%s: %v is %q, want closed", name, err, kindsOf(err))
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the coordinator was asked %d times", n)
	}
}

// What is in flight when the client is closed ends at once.
func TestCloseEndsWhatIsInFlight(t *testing.T) {
	var asked atomic.Int64
	c := serve(t, silent(&asked))
	w, err := c.Watch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if ev, err := w.Recv(); err != nil || EventType(ev) != "snapshot" {
		t.Fatalf("first Recv: %v, %v", ev, err)
	}
	ended := map[string]chan error{"status": make(chan error, 1), "await leader": make(chan error, 1), "recv": make(chan error, 1)}
	go func() { _, err := c.Status(context.Background()); ended["status"] <- err }()
	go func() { _, err := c.AwaitLeader(context.Background(), true); ended["await leader"] <- err }()
	go func() { _, err := w.Recv(); ended["recv"] <- err }()
	// The watch, the status, and a status and a watch of the wait.
	testwait.Until(t, 10*time.Second, "all are asked", func() bool { return asked.Load() == 4 })
	_ = c.Close()
	for name, end := range ended {
		if err := <-end; kindsOf(err) != "ErrClosed" {
			t.Errorf("%s: %v is %q, want closed", name, err, kindsOf(err))
		}
	}
	if _, err := w.Recv(); kindsOf(err) != "ErrClosed" {
		t.Errorf("one more Recv: %v, want closed", err)
	}
}

// An own context says why it ended, beside that it did.
func TestACallAfterTheEndOfItsContext(t *testing.T) {
	var asked atomic.Int64
	c := serve(t, silent(&asked))
	reason := errors.New("the program stops")
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	expired, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer stop()
	for name, call := range calls {
		err := call(expired, c)
		if !errors.Is(err, context.DeadlineExceeded) || kindsOf(err) != "" || !strings.Contains(err.Error(), "the context was over before the call") {
			t.Errorf("%s after a deadline: %v is %q", name, err, kindsOf(err))
		}
		err = call(cancelled, c)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, reason) || kindsOf(err) != "" || !strings.Contains(err.Error(), "the context was over before the call") {
			t.Errorf("%s after a cancel: %v is %q", name, err, kindsOf(err))
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the coordinator was asked %d times", n)
	}
}

// endsInOrder is the stream of a watch without any event.
type endsInOrder struct {
	grpc.ServerStreamingClient[arcv1.WatchResponse]
}

func (endsInOrder) Recv() (*arcv1.WatchResponse, error) { return nil, io.EOF }
func (endsInOrder) Trailer() metadata.MD                { return nil }

// The end of a context is found in the error also where it cut a call short.
func TestTheEndOfAContextIsInTheError(t *testing.T) {
	var asked atomic.Int64
	c := serve(t, silent(&asked))
	w, err := c.Watch(short(t, 200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = w.Recv()
	}
	if !errors.Is(err, context.DeadlineExceeded) || kindsOf(err) != "" {
		t.Errorf("a healthy watch: %v is %q, want the end of its context alone", err, kindsOf(err))
	}
	if _, err := c.Status(short(t, 200*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) || kindsOf(err) != "ErrTimeout" {
		t.Errorf("status: %v is %q, want a timeout", err, kindsOf(err))
	}
	mute := serve(t, &fakearc.Server{WatchFunc: func(_ *arcv1.WatchRequest, w grpc.ServerStreamingServer[arcv1.WatchResponse]) error {
		<-w.Context().Done()
		return nil
	}})
	if w, err = mute.Watch(short(t, 200*time.Millisecond)); err == nil {
		_, err = w.Recv()
	}
	if !errors.Is(err, context.DeadlineExceeded) || kindsOf(err) != "ErrTimeout" {
		t.Errorf("a watch without any event: %v is %q, want a timeout", err, kindsOf(err))
	}
	over := short(t, 0)
	w = &Stream{client: mute, stream: endsInOrder{}, ctx: over, cancel: func() {}}
	if _, err := w.Recv(); !errors.Is(err, context.DeadlineExceeded) || kindsOf(err) != "ErrTimeout" {
		t.Errorf("a watch without any event that the coordinator ends in order: %v is %q, want a timeout", err, kindsOf(err))
	}
	absent := dialTo(t, "unix://"+filepath.Join(t.TempDir(), SocketName))
	if _, err := absent.AwaitLeader(short(t, 300*time.Millisecond), false); !errors.Is(err, context.DeadlineExceeded) || kindsOf(err) != "ErrUnreachable" {
		t.Errorf("await leader, nobody there: %v is %q, want unreachable", err, kindsOf(err))
	}
}

// A deadline that its owner can take back is a cancel with that cause. Somebody who
// takes the connection and is silent is unreachable then, as with any deadline.
func TestACancelCanBeADeadline(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	deaf, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	c := dialTo(t, "unix://"+path)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(300*time.Millisecond, func() { cancel(context.DeadlineExceeded) })
	w, err := c.Watch(ctx)
	if err == nil {
		_, err = w.Recv()
	}
	if kindsOf(err) != "ErrUnreachable" || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errNoGreeting) {
		t.Errorf("got %v, which is %q; want unreachable, since nothing is said there", err, kindsOf(err))
	}
}

func TestAwaitLeaderNamesWhoLeads(t *testing.T) {
	led := func(leader *arcv1.NodeRef) *Client {
		return serve(t, &fakearc.Server{StatusFunc: func(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
			return &arcv1.StatusResponse{Self: "n1", SelfId: 1, Leader: leader, Reason: "this node is member"}, nil
		}})
	}
	for _, c := range []struct {
		leader *arcv1.NodeRef
		kinds  string
		text   string
	}{
		{&arcv1.NodeRef{Id: 2, Name: "n2"}, "ErrNotLeading", "await leader: n2 leads, not this node, n1"},
		{&arcv1.NodeRef{Id: 1, Name: "n1"}, "ErrNotLeading", "await leader: n1 is declared, and does not claim: this node is member"},
		{nil, "ErrNoLeader", "await leader: no leader: this node is member"},
	} {
		st, err := led(c.leader).AwaitLeader(short(t, 300*time.Millisecond), true)
		if kindsOf(err) != c.kinds || !errors.Is(err, context.DeadlineExceeded) || err.Error() != c.text || st.GetSelf() != "n1" {
			t.Errorf("%v leads: %v, %v is %q; want %q, %q", c.leader, st, err, kindsOf(err), c.text, c.kinds)
		}
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errors.New("never"))
	time.AfterFunc(300*time.Millisecond, cancel)
	if st, err := led(nil).AwaitLeader(ctx, true); st != nil || !errors.Is(err, context.Canceled) || kindsOf(err) != "" {
		t.Errorf("cancelled: %v, %v is %q", st, err, kindsOf(err))
	}
}
