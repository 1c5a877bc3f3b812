package service

import (
	"context"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/durations"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Status returns what this node knows of itself and of its ring.
func (s *Servers) Status(ctx context.Context, req *arcv1.StatusRequest) (*arcv1.StatusResponse, error) {
	progress := s.progress(ctx, req.GetAskLeader())
	// The view comes last: what it says of the claim must not be old.
	v, now, _, _, _ := s.o.Hub.Claim()
	r := s.o.Events.Status(v, now)
	paths := s.o.Paths()
	for _, m := range r.GetMembers() {
		m.Paths = paths[m.GetId()]
		// Where nobody is known to lead a member does not know what has been
		// committed, and would take itself for up to date.
		if r.GetLeader() != nil {
			m.Progress = progress[m.GetId()]
		}
	}
	if name, left, ok := s.o.Monitor.OnDetour(now); ok {
		r.TemporaryLink = &arcv1.TemporaryLink{Target: name, LeftMs: publish.Millis(left)}
	}
	if v.ID == 0 {
		if why := s.o.Standstill(); why != "" {
			r.Reason += "; " + why
		}
	}
	r.OtherRings = s.o.OtherRings(v.RingID)
	r.Security = s.o.Security
	if s.o.Trust != nil {
		r.Secrets = s.o.Trust.Secrets()
	}
	return r, nil
}

// History returns the newest entries of the ring's history.
func (s *Servers) History(_ context.Context, r *arcv1.HistoryRequest) (*arcv1.HistoryResponse, error) {
	return &arcv1.HistoryResponse{Entries: publish.HistoryToWire(s.o.Hub.Load().Ring, r.GetLimit())}, nil
}

// GetSettings returns the timing of the ring.
func (s *Servers) GetSettings(context.Context, *arcv1.GetSettingsRequest) (*arcv1.GetSettingsResponse, error) {
	v := s.o.Hub.Load()
	if v.Ring.RingID == "" {
		return nil, reason.ErrNotJoined
	}
	return &arcv1.GetSettingsResponse{Settings: publish.SettingsToWire(v.Ring.Settings), Epoch: v.Ring.Epoch}, nil
}

// Watch sends from a goroutine of its own: a client that does not read holds up
// Send for good, and it has to be let go when its queue is full. What it has
// not read by then it still gets, and then why it was dropped.
func (s *Servers) Watch(_ *arcv1.WatchRequest, stream arcv1.ArcService_WatchServer) error {
	as, host := caller(stream.Context())
	w, v, err := s.o.Hub.Subscribe(as == stranger, host)
	if err != nil {
		return err
	}
	defer s.o.Hub.Unsubscribe(w)
	sent := make(chan error, 1)
	go func() {
		now := s.o.Clock()
		if v.Lapsed(now) {
			s.o.Hub.Unsure.Store(true)
		}
		err := stream.Send(&arcv1.WatchResponse{Event: s.o.Events.Snapshot(v, now)})
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

// progress is how far the copies of the log are, by member, as far as that is
// known here or, if it may be asked, by the leader.
func (s *Servers) progress(ctx context.Context, askLeader bool) map[uint64]*arcv1.Progress {
	out := map[uint64]*arcv1.Progress{}
	l := s.o.Loop()
	if l == nil {
		return out
	}
	index, committed := l.Progress(ctx)
	for id, at := range index {
		out[id] = &arcv1.Progress{Index: at, Lag: max(committed, at) - at}
	}
	v, leader, led := s.o.Hub.Leader()
	if !askLeader || !led || leader.ID == v.ID {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, durations.LeaderStatusWait)
	defer cancel()
	conn, err := s.o.Dial(ctx, leader)
	if err != nil {
		return out // the own figure is true all the same
	}
	defer conn.Close()
	st, err := arcv1.NewArcServiceClient(conn).Status(ctx, &arcv1.StatusRequest{})
	if err != nil || st.GetRingId() != v.RingID || !st.GetClaiming() {
		return out
	}
	for _, m := range st.GetMembers() {
		if m.GetProgress() != nil {
			out[m.GetId()] = m.GetProgress()
		}
	}
	return out
}
