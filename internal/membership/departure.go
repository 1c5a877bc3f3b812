package membership

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/ring"
)

// Departure is one node's leaving, over all its tries. A leader hands over first,
// and then the next leader removes the node.
type Departure struct {
	id   uint64
	name string
	// stopping: the process ends in any case, so the ring may rest instead. Once
	// this leader has asked whether it does, gathered is true.
	stopping, gathered bool
	// term is the newest token when it began; ledSince is when this node was
	// first seen to lead after that, 0 if it did not.
	term     uint64
	ledSince mono.Instant
}

// Depart begins the leaving of a member. term is the newest token that is known;
// stopping reports that the process ends in any case.
func Depart(id uint64, name string, stopping bool, term uint64) *Departure {
	return &Departure{id: id, name: name, stopping: stopping, term: term}
}

// Scene is what a node that leaves knows at one moment.
type Scene struct {
	Ring *ring.State
	// Leader is who leads as far as there is proof, 0 if nobody is known to.
	Leader uint64
	// Counted is how many raft counts: voters and learners.
	Counted int
	// OthersLeave: this node leads, and others have asked it to let them go.
	OthersLeave bool
}

// Move is the next step of a departure.
type Move int

const (
	// Wait: nothing can be asked now. Step.Err says why.
	Wait Move = iota
	// AskSelf: this node leads; its own core has to carry out Step.Request.
	AskSelf
	// AskLeader: the leader has to carry out Step.Request.
	AskLeader
	// AwaitRemoval: the removal is committed. Raft may count on this node still,
	// and the core knows when it does not.
	AwaitRemoval
	// Refuse: this node cannot leave. Step.Err says why.
	Refuse
)

// Step is what a node that leaves does next.
type Step struct {
	Move    Move
	Request election.Request
	Err     error
}

// Next returns the next step.
func (d *Departure) Next(now mono.Instant, s Scene) Step {
	if _, ok := s.Ring.Member(d.id); !ok && s.Ring.RingID != "" {
		return Step{Move: AwaitRemoval}
	}
	if len(s.Ring.Members) == 1 {
		// Raft may still need those who left, and they this one.
		if s.OthersLeave || s.Counted > 1 {
			return Step{Move: Wait, Err: fmt.Errorf("%w: the last of the others are still leaving", election.ErrBusy)}
		}
		return Step{Move: Refuse, Err: fmt.Errorf("%w: stop it instead, its data directory keeps the ring", ErrLastMember)}
	}
	switch {
	case s.Leader == 0:
		return Step{Move: Wait, Err: ErrNoLeader}
	case s.Leader == d.id:
		return d.lead(now, s)
	case d.stopping:
		return Step{Move: AskLeader, Request: election.Request{Stop: &election.Stop{ID: d.id}}}
	}
	return Step{Move: AskLeader, Request: election.Request{Leave: &ring.Leave{ID: d.id}}}
}

// lead returns the next step of a node that leads.
func (d *Departure) lead(now mono.Instant, s Scene) Step {
	if d.stopping && !d.gathered {
		return Step{Move: AskSelf, Request: election.Request{Stop: &election.Stop{ID: d.id}}}
	}
	d.ledSince = cmp.Or(d.ledSince, now)
	since := now.Sub(d.ledSince)
	if s.OthersLeave && since < durations.LeaveQueue || s.Ring.Term != d.term && since < durations.LeaveYield {
		return Step{Move: Wait, Err: fmt.Errorf("%w: this leader lets others leave first", election.ErrBusy)}
	}
	return Step{Move: AskSelf, Request: election.Request{Handover: &election.Handover{Why: d.name + " leaves"}}}
}

// AnsweredSelf takes the answer of this node's own core to a step of AskSelf. An
// error ends this try; Passes says whether another one follows.
func (d *Departure) AnsweredSelf(s Step, err error) error {
	switch {
	case s.Request.Stop != nil && errors.Is(err, election.ErrIsLeader):
		d.gathered = true
		return nil
	case s.Request.Stop != nil && err != nil:
		return fmt.Errorf("end with the ring: %w", err)
	case err != nil:
		return fmt.Errorf("hand over first: %w", err)
	}
	d.ledSince = 0
	return fmt.Errorf("%w: handed over, the successor is not known yet", ErrNoLeader)
}

// Passes reports whether a change failed for a reason that passes.
func Passes(err error) bool {
	passing := []error{ErrNoLeader, election.ErrNotLeader, election.ErrLeadershipLost, election.ErrBusy, election.ErrNoAnswer, election.ErrUnable, election.ErrRemoved,
		ring.ErrNotMember /* an heir that left first */}
	return slices.ContainsFunc(passing, func(p error) bool { return errors.Is(err, p) })
}
