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
}

// Watch opens a stream of events: first one snapshot of the present state,
// then everything after it. A coordinator that was out of the ring and is back
// says one more snapshot in place of what it missed; one that told leader_lost
// and knows the same leader again, with the same term, says that by a snapshot
// too. Along one stream, the terms of leader_declared rise. It ends with ctx, or with Close.
func (c *Client) Watch(ctx context.Context) (*Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.arc.Watch(ctx, &arcv1.WatchRequest{})
	if err != nil {
		defer cancel()
		return nil, c.explain(ctx, "watch", err, false)
	}
	return &Stream{client: c, stream: stream, ctx: ctx, cancel: cancel}, nil
}

// Recv waits for the next event. The error wraps context.Canceled after ctx
// or Close ended the stream, ErrUnreachable when the coordinator went away.
func (s *Stream) Recv() (*arcv1.Event, error) {
	r, err := s.stream.Recv()
	if err == nil {
		return r.GetEvent(), nil
	}
	defer s.cancel()
	if errors.Is(err, io.EOF) {
		return nil, &Error{Op: "watch", Addr: s.client.addr, Kind: ErrUnreachable, Cause: errors.New("the coordinator ended the stream")}
	}
	return nil, s.client.explain(s.ctx, "watch", err, len(s.stream.Trailer()) > 0)
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
// It goes on while the coordinator is unreachable; when ctx ends it returns
// the last reason, wrapped.
func (c *Client) AwaitLeader(ctx context.Context, self bool) (*arcv1.StatusResponse, error) {
	wake := make(chan struct{}, 1)
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { c.notify(watching, wake) })
	defer watcher.Wait()
	defer stop()

	poll := time.NewTicker(durations.AwaitLeader)
	defer poll.Stop()
	var last *arcv1.StatusResponse
	for {
		st, err := c.Status(ctx)
		if err == nil {
			last = st
			if self && st.GetClaiming() || !self && st.GetLeader() != nil {
				return st, nil
			}
		}
		select {
		case <-wake:
		case <-poll.C:
		case <-ctx.Done():
			switch {
			case errors.Is(err, ErrTimeout) && last != nil:
				// The end of the wait cut this question short; it was answered before.
			case err != nil && !errors.Is(err, context.Canceled):
				return nil, err
			case errors.Is(ctx.Err(), context.Canceled):
				return nil, fmt.Errorf("await leader: %w", ctx.Err())
			}
			return last, &Error{Op: "await leader", Addr: c.addr, Kind: ErrNoLeader, Cause: errors.New(why(last, self))}
		}
	}
}

func why(st *arcv1.StatusResponse, self bool) string {
	switch {
	case self && st.GetLeader() != nil:
		return fmt.Sprintf("%s leads, not this node, %s", st.GetLeader().GetName(), st.GetSelf())
	case st.GetReason() != "":
		return "no leader: " + strings.TrimPrefix(st.GetReason(), "no leader known: ")
	default:
		return "no leader"
	}
}

// notify sends to wake after each event until ctx ends.
func (c *Client) notify(ctx context.Context, wake chan<- struct{}) {
	for ctx.Err() == nil {
		stream, err := c.Watch(ctx)
		for err == nil {
			if _, err = stream.Recv(); err == nil {
				select {
				case wake <- struct{}{}:
				default:
				}
			}
		}
		connect.Wait(ctx, durations.AwaitLeader)
	}
}
