package coordinator

import (
	"context"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// arcService is the public service: what only reads is in this file.
type arcService struct {
	arcv1.UnimplementedArcServer
	n *node
}

func (s arcService) Status(ctx context.Context, req *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
	progress := s.n.progress(ctx, req.GetAskLeader())
	// The view comes last: what it says of the claim must not be old.
	v, now, _, _, _ := s.n.hub.views.claim()
	r := s.n.maker.status(v, now)
	addProgress(r, progress)
	if name, left, ok := s.n.monitor.OnDetour(now); ok {
		r.TemporaryLink = &arcv1.TemporaryLink{Target: name, LeftMs: millis(left)}
	}
	if v.id == 0 && s.n.discovery != nil {
		if why := s.n.discovery.Standstill(); why != "" {
			r.Reason += "; " + why
		}
	}
	r.OtherRings = s.n.foreign.list(time.Now(), v.ringID)
	return r, nil
}

func (s arcService) History(_ context.Context, r *arcv1.HistoryRequest) (*arcv1.HistoryResponse, error) {
	return &arcv1.HistoryResponse{Entries: historyToWire(s.n.hub.views.load().ring, r.GetLimit())}, nil
}

func (s arcService) GetSettings(context.Context, *arcv1.GetSettingsRequest) (*arcv1.GetSettingsResponse, error) {
	v := s.n.hub.views.load()
	if v.ring.RingID == "" {
		return nil, reason.ErrNotJoined
	}
	return &arcv1.GetSettingsResponse{Settings: settingsToWire(v.ring.Settings), Epoch: v.ring.Epoch}, nil
}

// Watch sends from a goroutine of its own: a client that does not read holds up
// Send for good, and it has to be let go when its queue is full. What it has
// not read by then it still gets, and then why it was dropped.
func (s arcService) Watch(_ *arcv1.WatchRequest, stream arcv1.Arc_WatchServer) error {
	w, v, err := s.n.hub.subscribe(caller(stream.Context()))
	if err != nil {
		return err
	}
	defer s.n.hub.unsubscribe(w)
	sent := make(chan error, 1)
	go func() {
		now := s.n.clock()
		if v.lapsed(now) {
			s.n.hub.unsure.Store(true)
		}
		err := stream.Send(s.n.maker.snapshot(v, now))
		for err == nil {
			var e *arcv1.Event
			if e, err = w.next(stream.Context()); err == nil {
				err = stream.Send(e)
			}
		}
		sent <- err
	}()
	select {
	case err := <-sent:
		return err
	case <-w.gone:
	}
	select {
	case err := <-sent: // the rest of the queue went out
		return err
	case <-time.After(watcherGrace):
		return w.err // which ends the Send too
	}
}
