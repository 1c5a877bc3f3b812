package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Stream is an open watch. One goroutine may call Recv.
type Stream struct {
	client *Client
	stream grpc.ServerStreamingClient[arcv1.WatchResponse]
	ctx    context.Context // of the stream, which gRPC ends for its own reasons too
	cancel context.CancelFunc

	heard bool  // an event came
	err   error // what ended the stream
}

// Watch opens a stream of events: first one snapshot of the present state,
// then everything after it. A coordinator that was out of the ring and is back
// says one more snapshot in place of what it missed; one that told leader_lost
// and knows the same leader again, with the same term, says that by a snapshot
// too. Along one stream, the terms of leader_declared rise. It ends with ctx, or with Close.
func (c *Client) Watch(ctx context.Context) (*Stream, error) {
	if err := c.refuse(ctx, "watch"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.arc.Watch(ctx, &arcv1.WatchRequest{})
	if err != nil {
		defer cancel()
		return nil, c.explain(ctx, "watch", err, false)
	}
	return &Stream{client: c, stream: stream, ctx: ctx, cancel: cancel}, nil
}

// Recv waits for the next event. An error ends the stream; every later Recv
// returns it again. It wraps context.Canceled or context.DeadlineExceeded after
// ctx ended the stream, context.Canceled after Close did, ErrClosed after the
// client's Close did, ErrCertificate when the client's certificate ended, and
// ErrUnreachable when the coordinator went away.
func (s *Stream) Recv() (*arcv1.Event, error) {
	if s.err != nil {
		return nil, s.err
	}
	r, err := s.stream.Recv()
	if err == nil {
		s.heard = true
		return r.GetEvent(), nil
	}
	s.err = s.explain(err)
	s.cancel()
	return nil, s.err
}

func (s *Stream) explain(err error) error {
	clean := errors.Is(err, io.EOF)
	over := ended(s.ctx)
	if over == nil && status.Code(err) == codes.DeadlineExceeded {
		over = context.DeadlineExceeded
	}
	switch {
	case over != nil && s.heard && (clean || status.Code(err) == codes.DeadlineExceeded):
		// The coordinator did answer. The end of ctx ended the stream, not a wait for it.
		return &Error{Op: "watch", Addr: s.client.addr, Cause: over, over: over}
	case clean && over != nil:
		// It heard of the end of ctx first, and ended the stream in order.
		err = status.FromContextError(over).Err()
	case clean:
		return &Error{Op: "watch", Addr: s.client.addr, Kind: ErrUnreachable, answered: true,
			Cause: fmt.Errorf("the coordinator at %s ended the stream", s.client.addr)}
	}
	return s.client.explain(s.ctx, "watch", err, len(s.stream.Trailer()) > 0)
}

// EventType is an event's type as `arc watch -o json` has it; "" for one that this
// package does not know.
func EventType(ev *arcv1.Event) string {
	m := ev.ProtoReflect()
	d := m.WhichOneof(m.Descriptor().Oneofs().ByName("detail"))
	if d == nil {
		return ""
	}
	return string(d.Name())
}

// Close ends the stream.
func (s *Stream) Close() { s.cancel() }

// AwaitLeader waits until a leader is known, or, if self is true, until the
// coordinator itself leads and claims it, and returns the status that says so.
// It goes on while the coordinator is unreachable. It ends at once with ErrClosed
// when the client is closed, and with ErrCertificate when its certificate has ended.
//
// When ctx ends, the error wraps the end of ctx and says what the coordinator
// answered last: ErrNoLeader, or ErrNotLeading if another member leads, with
// that answer beside it; or why it gave no answer, such as ErrUnreachable.
func (c *Client) AwaitLeader(ctx context.Context, self bool) (*arcv1.StatusResponse, error) {
	const op = "await leader"
	if err := c.refuse(ctx, op); err != nil {
		return nil, err
	}
	wake := make(chan struct{}, 1)
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { c.notify(watching, wake) })
	defer watcher.Wait()
	defer stop()

	poll := time.Tick(durations.AwaitLeader)
	var last *arcv1.StatusResponse
	var trouble *Error // why the newest question got no answer; nil: last is its answer
	for {
		st, err := c.Status(ctx)
		failed, _ := errors.AsType[*Error](err)
		switch {
		case failed == nil:
			if self && st.GetClaiming() || !self && st.GetLeader() != nil {
				return st, nil
			}
			last, trouble = st, nil
		case failed.Kind == ErrClosed, failed.Kind == ErrCertificate:
			failed.Op = op
			return nil, failed
		case failed.over != nil && failed.Kind != ErrUnreachable && (last != nil || trouble != nil):
			// The end of the wait cut this question short; what was before says more.
		default:
			trouble = failed
		}
		select {
		case <-wake:
		case <-poll:
		case <-c.closed.Done():
		case <-ctx.Done():
			over := ended(ctx)
			switch {
			case trouble != nil:
				trouble.Op, trouble.over = op, over
				return nil, trouble
			case errors.Is(over, context.Canceled):
				return nil, &Error{Op: op, Addr: c.addr, Cause: over}
			}
			e := &Error{Op: op, Addr: c.addr, over: over}
			e.Kind, e.Cause = unmet(last)
			return last, e
		}
	}
}

// unmet says why an answer does not end a wait for a leader.
func unmet(st *arcv1.StatusResponse) (kind, cause error) {
	switch leader := st.GetLeader(); {
	case leader == nil && st.GetReason() == "":
		return ErrNoLeader, ErrNoLeader
	case leader == nil:
		return ErrNoLeader, fmt.Errorf("%w: %s", ErrNoLeader, strings.TrimPrefix(st.GetReason(), "no leader known: "))
	case leader.GetId() == st.GetSelfId():
		return ErrNotLeading, fmt.Errorf("%s is declared, and does not claim: %s", st.GetSelf(), st.GetReason())
	default:
		return ErrNotLeading, fmt.Errorf("%s leads, not this node, %s", leader.GetName(), st.GetSelf())
	}
}

// notify sends to wake after each event until ctx ends.
func (c *Client) notify(ctx context.Context, wake chan<- struct{}) {
	for ctx.Err() == nil {
		stream, err := c.Watch(ctx)
		for err == nil {
			if _, err = stream.Recv(); err == nil {
				connect.Notify(wake)
			}
		}
		connect.Wait(ctx, durations.AwaitLeader)
	}
}
