package service

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/peerwire"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

// Monitor is what this coordinator's own monitor calls, on the unix socket only.
func (s *Servers) Monitor(stream localv1.LocalService_MonitorServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	reg := first.GetRegistration()
	if reg == nil {
		return status.Error(codes.InvalidArgument, "the first report has to be a registration")
	}
	if reg.GetIncarnation() != s.o.Incarnation {
		return fmt.Errorf("%w: registration for incarnation %d, this coordinator is %d", reason.ErrDenied, reg.GetIncarnation(), s.o.Incarnation)
	}
	if who := partyOf(stream.Context()).unix; who != nil && who.pid != int(reg.GetPid()) {
		return fmt.Errorf("%w: registration for pid %d, this is pid %d", reason.ErrDenied, reg.GetPid(), who.pid)
	}
	if err := s.o.Monitor.Register(int(reg.GetPid())); err != nil {
		return err
	}
	defer s.o.Monitor.Unregister(int(reg.GetPid()))
	s.door.recognise(stream.Context())

	// The event loop answers beats into this channel and must not block; a
	// monitor that does not read is not owed an answer.
	beats := make(chan uint64, 16)
	answering, cancel := context.WithCancel(stream.Context())
	var answers sync.WaitGroup
	answers.Go(func() {
		// One that was started before the last SIGHUP has an old level; one
		// that is not told now is with the next beat.
		for seq := uint64(0); stream.Send(&localv1.MonitorResponse{Seq: seq, LogLevel: levelName(s.o.Log)}) == nil; {
			select {
			case seq = <-beats:
			case <-s.o.LevelChanged:
				seq = 0
			case <-answering.Done():
				return
			}
		}
	})
	defer func() { cancel(); answers.Wait() }()
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		s.o.Monitor.Beat(int(reg.GetPid()))
		s.report(r, beats)
	}
}

// levelName is the logger's level as --log-level has it, empty for one that has
// none.
func levelName(log hclog.Logger) string {
	if l := log.GetLevel(); l != hclog.NoLevel {
		return l.String()
	}
	return ""
}

func (s *Servers) report(r *localv1.MonitorRequest, beats chan<- uint64) {
	l := s.o.Loop()
	switch b := r.GetBody().(type) {
	case *localv1.MonitorRequest_Opinion:
		if l == nil {
			return
		}
		opinion, err := peerwire.DecodeOpinion(b.Opinion)
		if err == nil {
			err = l.Report(opinion)
		}
		if err != nil {
			s.o.Log.Debug("report of the monitor dropped", "error", err) // it repeats a suspicion
		}
	case *localv1.MonitorRequest_Link:
		k := b.Link
		s.o.Log.Debug("link", "peer", k.GetTargetName(), "state", strings.ToLower(strings.TrimPrefix(k.GetState().String(), "STATE_")), "epoch", k.GetEpoch(), "reason", k.GetDetail())
		if k.GetState() == localv1.LinkState_STATE_RETURNED && l != nil {
			if from, to, changed := s.o.Monitor.Returned(); changed {
				l.MonitorRelinked(from, to, false)
			}
		}
	case *localv1.MonitorRequest_Beat:
		answer := func() {
			select {
			case beats <- b.Beat:
			default:
			}
		}
		if l == nil { // no ring, no event loop that could hang
			answer()
			return
		}
		// Through the loop: a loop that hangs must be seen to.
		_ = l.Do(answer)
	}
}
