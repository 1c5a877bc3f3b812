package service

import (
	"context"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/durations"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// arcService is the public service: what only reads is in this file.
type arcService struct {
	arcv1.UnimplementedArcServiceServer
	n *Servers
}

func (s arcService) Status(ctx context.Context, req *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
	progress := s.n.progress(ctx, req.GetAskLeader())
	// The view comes last: what it says of the claim must not be old.
	v, now, _, _, _ := s.n.o.Hub.Claim()
	r := s.n.o.Events.Status(v, now)
	addProgress(r, progress)
	if name, left, ok := s.n.o.Monitor.OnDetour(now); ok {
		r.TemporaryLink = &arcv1.TemporaryLink{Target: name, LeftMs: publish.Millis(left)}
	}
	if v.ID == 0 {
		if why := s.n.o.Standstill(); why != "" {
			r.Reason += "; " + why
		}
	}
	r.OtherRings = s.n.o.OtherRings(v.RingID)
	return r, nil
}

func (s arcService) History(_ context.Context, r *arcv1.HistoryRequest) (*arcv1.HistoryResponse, error) {
	return &arcv1.HistoryResponse{Entries: publish.HistoryToWire(s.n.o.Hub.Load().Ring, r.GetLimit())}, nil
}

func (s arcService) GetSettings(context.Context, *arcv1.GetSettingsRequest) (*arcv1.GetSettingsResponse, error) {
	v := s.n.o.Hub.Load()
	if v.Ring.RingID == "" {
		return nil, reason.ErrNotJoined
	}
	return &arcv1.GetSettingsResponse{Settings: publish.SettingsToWire(v.Ring.Settings), Epoch: v.Ring.Epoch}, nil
}

// Watch sends from a goroutine of its own: a client that does not read holds up
// Send for good, and it has to be let go when its queue is full. What it has
// not read by then it still gets, and then why it was dropped.
func (s arcService) Watch(_ *arcv1.WatchRequest, stream arcv1.ArcService_WatchServer) error {
	as, host := caller(stream.Context())
	w, v, err := s.n.o.Hub.Subscribe(as == stranger, host)
	if err != nil {
		return err
	}
	defer s.n.o.Hub.Unsubscribe(w)
	sent := make(chan error, 1)
	go func() {
		now := s.n.o.Clock()
		if v.Lapsed(now) {
			s.n.o.Hub.Unsure.Store(true)
		}
		err := stream.Send(&arcv1.WatchResponse{Event: s.n.o.Events.Snapshot(v, now)})
		for err == nil {
			var e *arcv1.Event
			if e, err = w.Next(stream.Context()); err == nil {
				err = stream.Send(&arcv1.WatchResponse{Event: e})
			}
		}
		sent <- err
	}()
	select {
	case err := <-sent:
		return err
	case <-w.Gone:
	}
	select {
	case err := <-sent: // the rest of the queue went out
		return err
	case <-time.After(durations.SubscriberGrace):
		return w.Err // which ends the Send too
	}
}
