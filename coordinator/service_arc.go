package coordinator

import (
	"context"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// arcService is the public service: what only reads is in this file.
type arcService struct {
	arcv1.UnimplementedArcServer
	n *node
}

func (s arcService) Status(context.Context, *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
	v, now, _, _, _ := s.n.hub.views.claim()
	return statusToWire(&s.n.o, v, now), nil
}

func (s arcService) History(_ context.Context, r *arcv1.HistoryRequest) (*arcv1.HistoryResponse, error) {
	return &arcv1.HistoryResponse{Entries: historyToWire(s.n.hub.views.load().ring, r.GetLimit())}, nil
}

func (s arcService) GetSettings(context.Context, *arcv1.GetSettingsRequest) (*arcv1.GetSettingsResponse, error) {
	v := s.n.hub.views.load()
	if v.ring.RingID == "" {
		return nil, ErrNotJoined
	}
	return &arcv1.GetSettingsResponse{Settings: settingsToWire(v.ring.Settings), Epoch: v.ring.Epoch}, nil
}

func (s arcService) Watch(_ *arcv1.WatchRequest, stream arcv1.Arc_WatchServer) error {
	w, v, err := s.n.hub.subscribe()
	if err != nil {
		return err
	}
	defer s.n.hub.unsubscribe(w)
	if err := stream.Send(s.n.maker.snapshot(v, statusToWire(&s.n.o, v, s.n.clock()))); err != nil {
		return err
	}
	for {
		e, err := w.next(stream.Context())
		if err != nil {
			return err
		}
		if err := stream.Send(e); err != nil {
			return err
		}
	}
}
