package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/loop"
	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/coordinator/internal/service"
	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

const (
	// stopWithin is how long Run takes to end after its context did.
	stopWithin = 5 * time.Second
	// leaveWithin is what of it may go into leaving the ring.
	leaveWithin = 3500 * time.Millisecond
	// leaveAgain is the pause between two tries.
	leaveAgain = 50 * time.Millisecond
	// A leader that leaves lets others leave first: as long as some are at it,
	// up to leaveQueue; and for leaveYield if it was made leader only while it
	// was leaving, for they may be about to. Else two that leave at once would
	// hand the leadership to and fro.
	leaveQueue = 1500 * time.Millisecond
	leaveYield = 250 * time.Millisecond
)

// departure is one node's leaving, over all its tries.
type departure struct {
	n *node
	l *loop.Loop
	// stopping: the process ends in any case, so the ring may rest instead.
	// Once this leader has asked whether it does, gathered is true.
	stopping, gathered bool
	// term is the newest token when it began; ledSince is when this node was
	// first seen to lead after that, zero if it did not.
	term     uint64
	ledSince time.Time
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
	d := &departure{n: n, l: l, stopping: stopping, term: n.hub.Load().Ring.Term}
	for {
		epoch, err := d.try(ctx)
		if err == nil {
			n.log.Info("left the ring", "epoch", epoch)
			return epoch, nil
		}
		if !tryAgain(err) || ctx.Err() != nil {
			n.leaving.Store(false)
			l.SetPhase(publish.Member)
			return 0, fmt.Errorf("not out of the ring: %w", err)
		}
		n.log.Debug("leave is tried again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(leaveAgain):
		}
	}
}

func (d *departure) try(ctx context.Context) (uint64, error) {
	n, l := d.n, d.l
	v, leader, led := n.hub.Leader()
	if ended, out := l.Over(); out {
		return v.Ring.Epoch, nil
	} else if ended {
		return 0, reason.ErrStopping
	}
	if _, ok := v.Ring.Member(v.ID); !ok && v.Ring.RingID != "" {
		return d.awaitRemoval(ctx)
	}
	if len(v.Ring.Members) == 1 {
		// Raft may still need those who left, and they this one.
		if n.servers.Leaving() || len(v.Status.Voters)+len(v.Status.Learners) > 1 {
			return 0, fmt.Errorf("%w: the last of the others are still leaving", election.ErrBusy)
		}
		return 0, fmt.Errorf("%w: stop it instead, its data directory keeps the ring", reason.ErrLastMember)
	}
	if !led {
		return 0, service.NoLeader(v)
	}
	if leader.ID == v.ID && d.stopping && !d.gathered {
		if _, err := l.Request(ctx, election.Request{Stop: &election.Stop{ID: v.ID}}); !errors.Is(err, election.ErrIsLeader) {
			return 0, fmt.Errorf("end with the ring: %w", err)
		}
		d.gathered = true
	}
	if leader.ID == v.ID {
		if d.ledSince.IsZero() {
			d.ledSince = time.Now()
		}
		since := time.Since(d.ledSince)
		if n.servers.Leaving() && since < leaveQueue || v.Ring.Term != d.term && since < leaveYield {
			return 0, fmt.Errorf("%w: this leader lets others leave first", election.ErrBusy)
		}
		if _, err := l.Request(ctx, election.Request{Handover: &election.Handover{Why: n.o.Name + " leaves"}}); err != nil {
			return 0, fmt.Errorf("hand over first: %w", err)
		}
		d.ledSince = time.Time{}
		return 0, fmt.Errorf("%w: handed over, the successor is not known yet", reason.ErrNoLeader) // and again
	}
	conn, err := n.dialMember(ctx, leader)
	if err != nil {
		return 0, fmt.Errorf("%w that can be reached: %s: %w", reason.ErrNoLeader, leader.Name, err)
	}
	defer conn.Close()
	// Who is out already need not wait for the leader to say so.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-l.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	resp, err := arcv1.NewArcClient(conn).Leave(ctx, &arcv1.LeaveRequest{Name: n.o.Name, Forwarded: true, Stopping: d.stopping})
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
	case <-d.l.Done():
	case <-ctx.Done():
	}
	if _, out := d.l.Over(); out {
		return d.n.hub.Load().Ring.Epoch, nil
	}
	return 0, fmt.Errorf("wait until the ring does without this node: %w", ctx.Err())
}

// tryAgain tells whether a change failed for a reason that passes.
func tryAgain(err error) bool {
	for _, passing := range []error{reason.ErrNoLeader, election.ErrNotLeader, election.ErrLeadershipLost, election.ErrBusy, election.ErrNoAnswer, election.ErrUnable, election.ErrRemoved,
		ring.ErrNotMember /* an heir that left first */, reason.ErrOverload} {
		if errors.Is(err, passing) {
			return true
		}
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Aborted, codes.ResourceExhausted:
		return true
	case codes.DeadlineExceeded:
		return reason.Of(err) != ""
	}
	return false
}

// leaveInTime is what a signal makes of leave: bounded, and never an error
// that would keep the process from ending. It returns errLeft if the node is
// out, errStays if it is the last member or all end with it, and else
// errNotLeft.
func (n *node) leaveInTime() error {
	_ = notifySystemd("STOPPING=1")
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	_, err := n.leave(ctx, true)
	switch {
	case err == nil:
		return errLeft
	case errors.Is(err, election.ErrRests):
		n.log.Info("all members stop, so the ring stays on all their disks: a majority of them goes on when it is started again", "data-dir", n.o.DataDir)
		return errStays
	case errors.Is(err, reason.ErrLastMember):
		n.log.Info("last member of the ring, which stays on its disk: start it again to go on", "data-dir", n.o.DataDir)
		return errStays
	}
	n.log.Warn("the ring was not left in order; the monitor certifies that this coordinator ended", "error", err)
	return errNotLeft
}

// errStays: the node ends as a member, and no process is left that waits for it.
var errStays = errors.New("ended in order as a member: the ring stays on its disk")

// errNotLeft: the node ends as a member that others have to do without.
var errNotLeft = errors.New("ended without leaving the ring")
