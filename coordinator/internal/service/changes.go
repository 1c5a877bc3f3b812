package service

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/coordinator/internal/supervise"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/membership"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// atLeader carries a change out where it has to be: here if this node leads,
// else by forwarding the call r once, whose field forwarded says that it was.
func atLeader[Q, R any](ctx context.Context, s *Servers, r Q, forwarded *bool, here func(Loop, *publish.View) (R, error), there method[Q, R]) (none R, _ error) {
	l := s.o.Loop()
	v, leader, ok := s.o.Hub.Leader()
	if l == nil {
		return none, fmt.Errorf("%w: it is %s", reason.ErrNotJoined, v.Phase)
	}
	switch {
	case !ok:
		return none, NoLeader(v)
	case leader.ID == v.ID:
		return here(l, v)
	case *forwarded:
		return none, fmt.Errorf("%w here: %s, to whom this was forwarded, thinks that %s leads; try again", membership.ErrNoLeader, s.o.Name, leader.Name)
	}
	conn, err := s.o.Dial(ctx, leader)
	if err != nil {
		return none, fmt.Errorf("%w that can be reached: forward to %s: %w; try again", membership.ErrNoLeader, leader.Name, err)
	}
	defer conn.Close()
	*forwarded = true
	answer, err := there(arcv1.NewArcServiceClient(conn), ctx, r)
	return answer, brokeOff(leader.Name, err)
}

// method is one of the client's of the public service.
type method[Q, R any] = func(arcv1.ArcServiceClient, context.Context, Q, ...grpc.CallOption) (R, error)

// brokeOff says in words that the one to whom a call was forwarded was lost on
// the way. What a coordinator itself answers has a reason, and passes unchanged.
func brokeOff(name string, err error) error {
	if status.Code(err) != codes.Unavailable || reason.Of(err) != "" {
		return err
	}
	return status.Errorf(codes.Unavailable, "%s, to whom this was forwarded, broke off: %s; a change may or may not have been made: look with arc status before you repeat it",
		name, status.Convert(err).Message())
}

// NoLeader says why no leader is known here.
func NoLeader(v *publish.View) error {
	why := strings.TrimPrefix(v.Status.Reason, "no leader known: ")
	if who, _, leads := strings.Cut(why, " leads, token "); leads { // it did when the view was made
		why = fmt.Sprintf("the lease of %s has just run out; try again", who)
	}
	return fmt.Errorf("%w: %s", membership.ErrNoLeader, why)
}

// Join admits a joiner, or has the leader do so.
func (s *Servers) Join(ctx context.Context, r *arcv1.JoinRequest) (*arcv1.JoinResponse, error) {
	onJoin, err := ring.OnJoinOf(r.GetOnJoin())
	if err != nil {
		return nil, fmt.Errorf("%w: join of %s: on_join: %w", ring.ErrInvalid, foreign.Quote(r.GetName()), err)
	}
	a := membership.Applicant{Cluster: r.GetCluster(), RingID: r.GetRingId(), Member: ring.Member{
		Name: r.GetName(), Incarnation: r.GetIncarnation(), Addresses: r.GetAddresses(), Witness: r.GetWitness(),
		OnJoin: onJoin, Nonce: r.GetNonce(), Version: r.GetVersion(), LogVersion: r.GetLogVersion()}}
	v := s.o.Hub.Load()
	if err := a.Check(s.o.Cluster, v.RingID); err != nil {
		return nil, err
	}
	if !r.GetForwarded() {
		if err := speaksFor(ctx, a.Member.Name); err != nil {
			return nil, err
		}
	}
	_, from := caller(ctx)
	if err := a.CheckReach(from, s.o.Local(from)); err != nil {
		return nil, err
	}
	_, led := v.Leader(s.o.Clock())
	if id, ok := a.Known(v.Ring, led); ok {
		return s.joinedAs(id), nil
	}
	return atLeader(ctx, s, r, &r.Forwarded, func(l Loop, v *publish.View) (*arcv1.JoinResponse, error) {
		if err := a.CheckNewName(v.Ring); err != nil {
			return nil, err
		}
		d, err := l.Request(ctx, election.Request{Join: &ring.Join{Member: a.Member}})
		if err != nil {
			return nil, err
		}
		return s.joinedAs(d.ID), nil
	}, arcv1.ArcServiceClient.Join)
}

// Leave takes a member out of the ring: this node itself, or another one that is
// asked to.
func (s *Servers) Leave(ctx context.Context, r *arcv1.LeaveRequest) (*arcv1.LeaveResponse, error) {
	switch {
	case r.GetName() == "" || r.GetName() == s.o.Name:
		within, cancel := beforeDeadline(ctx)
		defer cancel()
		epoch, err := s.o.Leave(within)
		if err != nil {
			return nil, err
		}
		// Run waits for this answer before it stops the server.
		s.o.Left()
		return &arcv1.LeaveResponse{Epoch: epoch}, nil
	case r.GetForwarded(): // the member itself asks the leader
		if err := speaksFor(ctx, r.GetName()); err != nil {
			return nil, err
		}
		return atLeader(ctx, s, r, &r.Forwarded, func(l Loop, v *publish.View) (*arcv1.LeaveResponse, error) {
			m, err := memberNamed(v.Ring, r.GetName())
			if err != nil {
				return nil, err
			}
			s.leavers.Add(1)
			defer s.leavers.Add(-1)
			request := election.Request{Leave: &ring.Leave{ID: m.ID}}
			if r.GetStopping() {
				request = election.Request{Stop: &election.Stop{ID: m.ID}}
			}
			if _, err := l.Request(ctx, request); err != nil {
				return nil, err
			}
			return &arcv1.LeaveResponse{Epoch: s.o.Hub.Load().Ring.Epoch}, nil
		}, arcv1.ArcServiceClient.Leave)
	}
	// Only the member itself can leave in order: it hands over first if it
	// leads, and it stops when it is out.
	m, err := memberNamed(s.o.Hub.Load().Ring, r.GetName())
	if err != nil {
		return nil, err
	}
	conn, err := s.o.Dial(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("%w: %s cannot be asked to leave: %w; if its machine is gone, use evict", reason.ErrUnreachable, m.Name, err)
	}
	defer conn.Close()
	r.Forwarded = true
	return arcv1.NewArcServiceClient(conn).Leave(ctx, r)
}

// Evict takes a member out of the ring that is not asked.
func (s *Servers) Evict(ctx context.Context, r *arcv1.EvictRequest) (*arcv1.EvictResponse, error) {
	return atLeader(ctx, s, r, &r.Forwarded, func(l Loop, v *publish.View) (*arcv1.EvictResponse, error) {
		m, err := memberNamed(v.Ring, r.GetName())
		if err != nil {
			return nil, err
		}
		if m.ID == v.ID {
			return nil, fmt.Errorf("%w: %s leads; use handover first, or leave", election.ErrIsLeader, m.Name)
		}
		e := &ring.Evict{ID: m.ID, Incarnation: m.Incarnation, Evidence: ring.Operator, By: v.ID}
		if _, err := l.Request(ctx, election.Request{Evict: e}); err != nil {
			return nil, err
		}
		return &arcv1.EvictResponse{Epoch: s.o.Hub.Load().Ring.Epoch}, nil
	}, arcv1.ArcServiceClient.Evict)
}

// Forget drops a former member from the list of those who departed.
func (s *Servers) Forget(ctx context.Context, r *arcv1.ForgetRequest) (*arcv1.ForgetResponse, error) {
	return atLeader(ctx, s, r, &r.Forwarded, func(l Loop, v *publish.View) (*arcv1.ForgetResponse, error) {
		d, ok := v.Ring.DepartedByName(r.GetName())
		if !ok {
			if _, member := v.Ring.MemberByName(r.GetName()); member {
				return nil, fmt.Errorf("%s is %w; only former members are forgotten: use leave or evict", r.GetName(), reason.ErrIsMember)
			}
			return nil, fmt.Errorf("%w, nor a former one that is listed: %s; `arc status` lists both", ring.ErrNotMember, foreign.Quote(r.GetName()))
		}
		if _, err := l.Request(ctx, election.Request{Forget: &ring.Forget{IDs: []uint64{d.ID}}}); err != nil {
			return nil, err
		}
		return &arcv1.ForgetResponse{Id: d.ID}, nil
	}, arcv1.ArcServiceClient.Forget)
}

// Handover makes another member lead.
func (s *Servers) Handover(ctx context.Context, r *arcv1.HandoverRequest) (*arcv1.HandoverResponse, error) {
	return atLeader(ctx, s, r, &r.Forwarded, func(l Loop, v *publish.View) (*arcv1.HandoverResponse, error) {
		h := &election.Handover{Why: "handover by the operator"}
		if r.GetName() != "" {
			m, err := memberNamed(v.Ring, r.GetName())
			switch {
			case err != nil:
				return nil, err
			case m.ID == v.ID:
				return &arcv1.HandoverResponse{Term: v.Ring.Term, Leader: &arcv1.NodeRef{Id: m.ID, Name: m.Name}}, nil
			case m.Witness:
				return nil, fmt.Errorf("%w: %s is one", reason.ErrWitness, m.Name)
			}
			h.To = m.ID
		}
		if _, err := l.Request(ctx, election.Request{Handover: h}); err != nil {
			return nil, err
		}
		v = s.o.Hub.Load()
		resp := &arcv1.HandoverResponse{Term: v.Ring.Term}
		if m, ok := v.Ring.Leader(); ok {
			resp.Leader = &arcv1.NodeRef{Id: m.ID, Name: m.Name}
		}
		return resp, nil
	}, arcv1.ArcServiceClient.Handover)
}

// Relink concerns the called node's own monitor and is never forwarded.
func (s *Servers) Relink(_ context.Context, r *arcv1.RelinkRequest) (*arcv1.RelinkResponse, error) {
	l, v := s.o.Loop(), s.o.Hub.Load()
	if l == nil {
		return nil, fmt.Errorf("%w: it is %s", reason.ErrNotJoined, v.Phase)
	}
	if r.GetTarget() == "" {
		target, err := s.o.Monitor.Redial()
		if err != nil {
			return nil, err
		}
		return &arcv1.RelinkResponse{Epoch: v.Ring.Epoch, Target: target}, nil
	}
	m, err := memberNamed(v.Ring, r.GetTarget())
	if err != nil {
		return nil, err
	}
	if m.ID == v.ID {
		return nil, fmt.Errorf("%w: %s is this node; a monitor watches another one", ring.ErrInvalid, m.Name)
	}
	d, err := supervise.DetourFor(v.Ring.Settings, r.GetForMs())
	if err != nil {
		return nil, err
	}
	from, err := s.o.Monitor.RelinkTo(s.o.Clock(), m, d)
	if err != nil {
		return nil, err
	}
	l.MonitorRelinked(from, m.Name, true)
	return &arcv1.RelinkResponse{Epoch: v.Ring.Epoch, Target: m.Name, ForMs: uint64(d.Milliseconds())}, nil
}

// SetSettings changes the timing of the ring.
func (s *Servers) SetSettings(ctx context.Context, r *arcv1.SetSettingsRequest) (*arcv1.SetSettingsResponse, error) {
	return atLeader(ctx, s, r, &r.Forwarded, func(l Loop, _ *publish.View) (*arcv1.SetSettingsResponse, error) {
		was, err := s.changeSettings(ctx, l, r.GetChanges())
		if err != nil {
			return nil, err
		}
		v := s.o.Hub.Load()
		return &arcv1.SetSettingsResponse{Settings: publish.SettingsToWire(v.Ring.Settings), Epoch: v.Ring.Epoch,
			Notes: s.o.RealtimeNotes(ctx, was, v.Ring)}, nil
	}, arcv1.ArcServiceClient.SetSettings)
}

// changeSettings commits the changes, and returns the settings of before.
func (s *Servers) changeSettings(ctx context.Context, l Loop, changes map[string]string) (was ring.Settings, err error) {
	// Two changes at once must not undo each other.
	s.settingsMu.Lock()
	defer s.settingsMu.Unlock()
	was = s.o.Hub.Load().Ring.Settings
	next, err := mergeSettings(was, changes)
	if err != nil {
		return was, err
	}
	_, err = l.Request(ctx, election.Request{Settings: &next})
	return was, err
}

func memberNamed(s *ring.State, name string) (ring.Member, error) {
	m, ok := s.MemberByName(name)
	if !ok {
		return ring.Member{}, fmt.Errorf("%w: %s; `arc status` lists the members", ring.ErrNotMember, foreign.Quote(name))
	}
	return m, nil
}

// joinedAs answers a joiner that is the member id.
func (s *Servers) joinedAs(id uint64) *arcv1.JoinResponse {
	v, l, ok := s.o.Hub.Leader()
	r := &arcv1.JoinResponse{Id: id, RingId: v.RingID, Epoch: v.Ring.Epoch, Members: publish.MembersToWire(v)}
	if ok {
		r.Leader = &arcv1.NodeRef{Id: l.ID, Name: l.Name}
	}
	return r
}

// beforeDeadline ends a little before ctx does, so that why a leave did not come
// about still reaches who asked for it.
func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-min(time.Until(end)/10, durations.LeaveAnswer)))
}
