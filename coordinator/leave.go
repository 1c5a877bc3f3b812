package coordinator

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/loop"
	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/coordinator/internal/service"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/membership"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// departure is one node's leaving, over all its tries.
type departure struct {
	n        *node
	l        *loop.Loop
	stopping bool
	rules    *membership.Departure
}

// leave takes this node out of the ring: the leadership is handed over first,
// then the leader removes it. It returns the epoch in which that was
// committed. Until ctx ends it tries again while there is no leader. If stopping,
// all members may be: the error then wraps election.ErrRests, and nobody leaves.
func (n *node) leave(ctx context.Context, stopping bool) (uint64, error) {
	select {
	case n.leaveSlot <- struct{}{}:
		defer func() { <-n.leaveSlot }()
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for another leave that is under way: %w", ctx.Err())
	}
	l := n.loop.Load()
	if l == nil {
		return 0, fmt.Errorf("%w: it is %s", reason.ErrNotJoined, n.hub.Load().Phase)
	}
	n.leaving.Store(true)
	l.SetPhase(publish.Leaving)
	v := n.hub.Load()
	d := &departure{n: n, l: l, stopping: stopping, rules: membership.Depart(v.ID, n.o.Name, stopping, v.Ring.Term)}
	for {
		epoch, err := d.try(ctx)
		if err == nil {
			n.log.Info("left the ring", "epoch", epoch)
			return epoch, nil
		}
		if !tryAgain(err) || ctx.Err() != nil {
			n.leaving.Store(false)
			l.SetPhase(publish.Member)
			return 0, stillIn(n.o.Name, err, stopping)
		}
		n.log.Debug("leave is tried again", "error", err)
		connect.Wait(ctx, durations.LeaveAgain)
	}
}

func (d *departure) try(ctx context.Context) (uint64, error) {
	n, l := d.n, d.l
	for {
		v, leader, _ := n.hub.Leader()
		if ended, out := l.Over(); out {
			return v.Ring.Epoch, nil
		} else if ended {
			return 0, reason.ErrStopping
		}
		step := d.rules.Next(n.clock(), membership.Scene{Ring: v.Ring, Leader: leader.ID,
			Counted: len(v.Status.Voters) + len(v.Status.Learners), OthersLeave: n.servers.Leaving()})
		switch step.Move {
		case membership.AwaitRemoval:
			return d.awaitRemoval(ctx)
		case membership.AskLeader:
			return d.askLeader(ctx, leader)
		case membership.AskSelf:
			_, err := l.Request(ctx, step.Request)
			if err := d.rules.AnsweredSelf(step, err); err != nil {
				return 0, err
			}
		default:
			if step.Err == membership.ErrNoLeader { // and the view says why
				return 0, service.NoLeader(v)
			}
			return 0, step.Err
		}
	}
}

// askLeader asks the leader to let this node go.
func (d *departure) askLeader(ctx context.Context, leader ring.Member) (uint64, error) {
	n, l := d.n, d.l
	conn, err := n.dialMember(ctx, leader)
	if err != nil {
		return 0, fmt.Errorf("%w that can be reached: %s: %w", membership.ErrNoLeader, leader.Name, err)
	}
	defer conn.Close()
	// A member that is out already need not wait for the leader to say so.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(l.Life(), cancel)
	defer stop()
	resp, err := arcv1.NewArcServiceClient(conn).Leave(ctx, &arcv1.LeaveRequest{Name: n.o.Name, Forwarded: true, Stopping: d.stopping})
	switch {
	case reason.Of(err) == "RESTS":
		return 0, fmt.Errorf("%w, says %s", election.ErrRests, leader.Name)
	case err == nil:
		return resp.GetEpoch(), nil
	case status.Code(err) == codes.NotFound:
		return d.awaitRemoval(ctx)
	}
	if _, out := l.Over(); out {
		return n.hub.Load().Ring.Epoch, nil
	}
	return 0, err
}

// awaitRemoval is for a leave that was committed although nobody said so, its
// leader having fallen. Raft may count on this node still: the core knows when
// it does not.
func (d *departure) awaitRemoval(ctx context.Context) (uint64, error) {
	select {
	case <-d.l.Life().Done():
	case <-ctx.Done():
	}
	if _, out := d.l.Over(); out {
		return d.n.hub.Load().Ring.Epoch, nil
	}
	return 0, fmt.Errorf("wait until the ring does without this node: %w", ctx.Err())
}

// tryAgain reports whether a change failed for a reason that passes.
func tryAgain(err error) bool {
	if membership.Passes(err) || errors.Is(err, reason.ErrOverload) {
		return true
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Aborted, codes.ResourceExhausted:
		return true
	case codes.DeadlineExceeded:
		return reason.Of(err) != ""
	}
	return false
}

// stillIn says that the named node could not leave, and what to do if that may pass.
func stillIn(name string, err error, stopping bool) error {
	if stopping || !tryAgain(err) {
		return fmt.Errorf("%s is still in the ring: %w", name, err)
	}
	return fmt.Errorf("%s is still in the ring: %w; leave again later, or stop its coordinator, and the others evict it", name, err)
}

// leaveInTime is what a signal makes of leave: bounded, and never an error
// that would keep the process from ending. It returns errLeft if the node is
// out, errStays if it is the last member or all end with it, and else
// errNotLeft, each with why.
func (n *node) leaveInTime(why error) error {
	_ = notifySystemd("STOPPING=1")
	because := func(outcome error) error { return fmt.Errorf("%w: %w", outcome, why) }
	ctx, cancel := context.WithTimeout(context.Background(), durations.Leave)
	defer cancel()
	_, err := n.leave(ctx, true)
	switch {
	case err == nil:
		return because(errLeft)
	case errors.Is(err, election.ErrRests):
		n.log.Info("all members stop, so the ring stays on all their disks: a majority of them goes on when it is started again", "data-dir", n.o.DataDir)
		return because(errStays)
	case errors.Is(err, membership.ErrLastMember):
		n.log.Info("last member of the ring, which stays on its disk: start it again to go on", "data-dir", n.o.DataDir)
		return because(errStays)
	}
	n.log.Warn("the ring was not left in order; the monitor certifies that this coordinator ended", "error", err)
	return because(errNotLeft)
}

// toldToEnd logs why this node ends in order, and what it does now.
func (n *node) toldToEnd(why error) {
	next := "it ends"
	switch v, _, _, _, claims := n.hub.Claim(); {
	case claims:
		next = "it hands over, leaves the ring and ends"
	case v.ID != 0:
		next = "it leaves the ring and ends"
	}
	n.log.Info("this coordinator is told to end", "reason", why, "next", next)
}

// errStays: the node ends as a member, and no process is left that waits for it.
var errStays = errors.New("ended in order as a member: the ring stays on its disk")

// errNotLeft: the node ends as a member that others have to do without.
var errNotLeft = errors.New("ended without leaving the ring")
