package sim

import (
	"errors"
	"slices"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/ring"
)

// leave is a node's leaving.
type leave struct {
	until int64 // true time until which it tries; 0 if it does not
	back  time.Duration
	ref   uint64          // of the request to its own core that is under way, 0 without one
	step  membership.Step // what that asks for
	// stopping: its process was told to end. Hasty: it lets nobody leave first, as
	// if it was told so only when it led.
	stopping, hasty bool
	departure       *membership.Departure
	term            uint64 // the token when that began
}

// opTries bounds how often an operator's command asks.
const opTries = 8

// operate lets an operator ask for something.
func (s *Sim) operate(f *Fault, n *node) {
	op := &operation{what: string(f.Kind), via: s.rnd.IntN(len(s.nodes))}
	name := n.name
	byName := func(l *node) (ring.Member, bool) { return l.core.State().MemberByName(name) }
	switch f.Kind {
	case OpJoin:
		for _, o := range s.nodes {
			if o.spare {
				o.spare = false
				s.start(o)
				return
			}
		}
		return
	case OpLeave:
		s.beginLeaving(n, f)
		return
	case OpEvict:
		s.asked.evictions[name] = true
		op.make = func(l *node) (election.Request, bool) {
			m, ok := byName(l)
			return election.Request{Evict: &ring.Evict{ID: m.ID, Incarnation: m.Incarnation, Evidence: ring.Operator}}, ok
		}
	case OpImpostor:
		if !s.impostor(n, op) {
			return
		}
	case OpHandover:
		op.make = func(l *node) (election.Request, bool) {
			to := uint64(0)
			if f.N > 0 {
				if m, ok := byName(l); ok {
					to = m.ID
				}
			}
			return election.Request{Handover: &election.Handover{To: to}}, true
		}
	case OpSettings:
		st := s.world.settingsOf(f.N)
		s.asked.settings[st] = true
		op.make = func(*node) (election.Request, bool) { return election.Request{Settings: &st}, true }
	}
	s.opNext(op, 0, s.leaderNow())
}

func (s *Sim) opNext(op *operation, in time.Duration, whom int) {
	if whom < 0 {
		whom = s.rnd.IntN(len(s.nodes))
	}
	s.q.push(event{at: s.now + int64(in), kind: evOp, node: int16(op.via), n: uint64(whom), p: op})
}

// opTry sends an operator's request to a machine.
func (s *Sim) opTry(e event) {
	op := e.p.(*operation)
	if s.calm && !op.wish || op.tries >= opTries {
		s.stats.count(op.what+": given up", 1)
		return
	}
	op.tries++
	if !s.transmit(op.via, int(e.n), event{kind: evRPC, p: &rpc{from: op.via, op: op}}, true) {
		s.opNext(op, 300*time.Millisecond, -1)
	}
}

// operated takes the answer to an operator's request.
func (s *Sim) operated(n *node, c *rpc) {
	op := c.op
	switch {
	case errors.Is(c.err, election.ErrRests):
		op.answered = true
		op.done(c.err)
	case c.err == nil:
		s.stats.count(op.what+": done", 1)
		s.lastOp = s.now
		op.answered = true
		if op.done != nil {
			op.done(nil)
		}
	case errors.Is(c.err, election.ErrNotLeader), errors.Is(c.err, election.ErrLeadershipLost), errors.Is(c.err, election.ErrBusy):
		s.opNext(op, s.between(n.rnd, 5*time.Millisecond, 200*time.Millisecond), c.hint)
	default:
		// A member that is back, or was forgotten at an earlier try, is not listed any more.
		op.answered = op.answered || op.what == forgetting && errors.Is(c.err, ring.ErrNotMember)
		s.stats.count(op.what+": refused", 1)
		s.tracef(n, "%s refused: %v", op.what, c.err)
	}
}

// beginLeaving lets a member leave, on the operator's command or since its process
// is told to end (SIGTERM). Now and then all are told to end at about the same time.
func (s *Sim) beginLeaving(n *node, f *Fault) {
	leave := func(n *node, stopping bool, in time.Duration) {
		if n.up && n.core != nil && n.leave.until == 0 {
			n.leave.until, n.leave.back, n.leave.ref = s.now+int64(5*time.Second), f.For, 0
			n.leave.stopping, n.leave.hasty = stopping, f.For%2 == 1
			n.depart()
			s.q.push(event{at: s.now + int64(in), kind: evLeave, node: int16(n.idx), gen: n.gen})
		}
	}
	stopping := s.stops.IntN(2) == 0
	leave(n, stopping, 0)
	if !stopping || s.stops.IntN(3) > 0 {
		return
	}
	s.stats.count("op-leave: all are told to end", 1)
	for _, o := range s.nodes {
		if o.twinOf == 0 {
			leave(o, true, s.between(s.stops, 0, 400*time.Millisecond))
		}
	}
}

// rests ends a process while its member stays: all end, and the ring rests on their
// disks.
func (s *Sim) rests(n *node) {
	s.stats.count("op-leave: the ring rests", 1)
	s.exit(n, "rests")
	s.restartAfter(n, n.leave.back)
}

// leaveTry is one try of `arc leave`, by the coordinator's rules.
func (s *Sim) leaveTry(n *node, e event) {
	if !n.up || n.leave.until == 0 || n.core == nil || e.gen != n.gen {
		return
	}
	if s.now >= n.leave.until {
		s.stats.count("op-leave: gone without leave", 1)
		s.exit(n, "leaves without leave")
		s.restartAfter(n, n.leave.back)
		return
	}
	s.q.push(event{at: s.now + int64(300*time.Millisecond), kind: evLeave, node: int16(n.idx), gen: n.gen})
	now := n.clock.local(s.now)
	status := n.core.Status(now)
	scene := membership.Scene{Ring: n.core.State(), Counted: len(status.Voters) + len(status.Learners), OthersLeave: !n.leave.hasty && n.letsOthersGo()}
	if n.leave.hasty && scene.Ring.Term != n.leave.term {
		n.depart()
	}
	if status.Declared && status.LeaderProven {
		scene.Leader = status.Leader
	}
	switch step := n.leave.departure.Next(now, scene); step.Move {
	case membership.AskSelf:
		if n.leave.ref == 0 {
			n.leave.ref, n.leave.step = s.refs+1, step // it may be answered in the same step
			s.asked.leaves[n.id] = s.asked.leaves[n.id] || step.Request.Stop != nil
			s.request(n, step.Request, nil)
		}
	case membership.AskLeader:
		s.askToLeave(n, status.Leader, step.Request)
	case membership.Refuse:
		s.stats.count("op-leave: refused to the last member", 1)
		if n.leave.until = 0; n.leave.stopping {
			s.rests(n)
		}
	}
}

// depart begins a departure, as of the state that the node knows.
func (n *node) depart() {
	n.leave.term = n.core.State().Term
	n.leave.departure = membership.Depart(n.id, n.asName(), n.leave.stopping, n.leave.term)
}

// letsOthersGo reports whether others have asked this node to let them go.
func (n *node) letsOthersGo() bool {
	return slices.ContainsFunc(n.refs, func(r pendingRef) bool {
		return r.rpc != nil && (r.request.Leave != nil || r.request.Stop != nil)
	})
}

// askToLeave asks the leader to let a member go.
func (s *Sim) askToLeave(n *node, leader uint64, r election.Request) {
	to := s.machineOf(leader)
	if to < 0 {
		return
	}
	id := n.id
	s.asked.leaves[id] = true
	op := &operation{what: string(OpLeave), via: n.idx, tries: opTries}
	op.make = func(*node) (election.Request, bool) { return r, true }
	op.done = func(err error) {
		switch {
		case !n.up || n.id != id || n.leave.until == 0:
		case err != nil:
			s.rests(n)
		default:
			s.exit(n, "left")
			s.letGo[id] = true
			n.disk.dropRing()
			s.restartAfter(n, n.leave.back)
		}
	}
	s.transmit(n.idx, to, event{kind: evRPC, p: &rpc{from: n.idx, op: op}}, true)
}

// operating reports whether an operator's wish took effect since the ring was
// last whole.
func (s *Sim) operating() bool { return s.lastOp >= s.wholeAt }
