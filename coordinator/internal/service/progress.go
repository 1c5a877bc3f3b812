package service

import (
	"context"

	"github.com/arc-ring/arc/internal/durations"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

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

// addProgress adds how far the members' copies of the log are. Where nobody is
// known to lead a member does not know what has been committed, and would take
// itself for up to date.
func addProgress(r *arcv1.StatusResponse, progress map[uint64]*arcv1.Progress) {
	if r.GetLeader() == nil {
		return
	}
	for _, m := range r.GetMembers() {
		m.Progress = progress[m.GetId()]
	}
}
