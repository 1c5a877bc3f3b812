package sim

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

// deferredMost is how long an effect may be held back. A timer may be late
// besides.
const deferredMost = 8 * time.Millisecond

// due returns the effects to carry out now, by the rule of the daemon's event
// loop.
func (s *Sim) due(n *node, effects []election.Effect) []election.Effect {
	if !s.world.Defers {
		return effects
	}
	now := n.clock.local(s.now)
	due := n.deferral.Turn(now, n.core.State(), n.core.LeaderUntil(), effects)
	s.checkDeferred(n, now, effects, due)
	return due
}

// checkDeferred checks that each effect is carried out once, in order and in
// time, and at once if somebody waits for it.
func (s *Sim) checkDeferred(n *node, now election.Instant, effects, due []election.Effect) {
	for _, e := range effects {
		n.deferred = append(n.deferred, deferred{e, now})
	}
	for _, e := range due {
		if len(n.deferred) == 0 || !sameEffect(n.deferred[0].effect, e) {
			s.failAt(n, "order", "it carries out %T out of its order", e)
			return
		}
		n.deferred = n.deferred[1:]
	}
	for _, d := range n.deferred {
		if awaited(d.effect) {
			s.failAt(n, "order", "it holds back %T, which somebody waits for", d.effect)
			return
		}
	}
	if len(n.deferred) > 0 {
		s.stats.count("process: turns whose effects are held back", 1)
		if end := n.deferral.Ends(); end > n.deferred[0].since.Add(deferredMost) {
			s.failAt(n, "order", "it holds back %T of %v until %v", n.deferred[0].effect, n.deferred[0].since, end)
		}
	}
}

// deferred is an effect that is held back since a moment of the node's clock.
type deferred struct {
	effect election.Effect
	since  election.Instant
}

// awaited reports whether somebody waits for an effect: a member that renews, asks or
// campaigns, an operator, or a program that wants to know who leads.
func awaited(e election.Effect) bool {
	switch x := e.(type) {
	case election.Applied, election.Persist, election.PeersChanged, election.Relink:
		return false
	case election.Send:
		return x.Message.Raft == nil || x.Message.Raft.GetType() != raftpb.MsgAppResp
	}
	return true
}

// sameEffect reports whether a and b are the very same effect.
func sameEffect(a, b election.Effect) bool {
	switch x := a.(type) {
	case election.Persist:
		y, ok := b.(election.Persist)
		return ok && x.Seq == y.Seq
	case election.Applied:
		y, ok := b.(election.Applied)
		return ok && x.Index == y.Index
	case election.Send:
		y, ok := b.(election.Send)
		return ok && x.Message.To == y.Message.To && x.Message.Raft == y.Message.Raft
	case election.Removed:
		_, ok := b.(election.Removed)
		return ok
	}
	return true
}
