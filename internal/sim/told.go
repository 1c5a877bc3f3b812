package sim

import (
	"time"

	"github.com/arc-ring/arc/election"
)

// told is what a process was told by its core's effects: what programs and
// people on its machine go by.
type told struct {
	claim uint64 // the token of the claim, 0 if it has none
	epoch uint64 // of the newest state, 0 before the first
}

// tell follows an effect.
func (s *Sim) tell(n *node, e election.Effect) {
	switch x := e.(type) {
	case election.Applied:
		n.told.epoch = x.State.Epoch
	case election.ClaimChanged:
		n.told.claim = 0
		if x.Claiming {
			n.told.claim = x.Term
		}
	case election.Removed:
		if m, ok := s.ledger.Member(n.id); ok && m.Incarnation == n.inc && !x.Unborn {
			s.failAt(n, "told", "its membership ends (%s), but it is a member by the log", x.Why)
		}
	}
}

// checkTold checks after a step that the process was told what is so.
func (s *Sim) checkTold(n *node) {
	if n.told.claim != n.claimTerm {
		s.failAt(n, "told", "it claims with token %d (0: not) until %v, and was told %d", n.claimTerm, time.Duration(n.claimEnd), n.told.claim)
	}
	if st := n.core.State(); n.told.epoch != 0 && n.told.epoch != st.Epoch {
		s.failAt(n, "told", "it is in epoch %d, and was told of %d", st.Epoch, n.told.epoch)
	}
}

// lastLook reads a core whose part in the ring is over, as the daemon does once more.
func (s *Sim) lastLook(n *node) {
	now := n.clock.local(s.now)
	if _, left := n.core.ClaimUntil(); left != 0 {
		s.fail("effect", "%s is out of the ring and may claim until %v", n.name, left)
	}
	n.core.StatusVersion(now)
	if st := n.core.Status(now); st.LeaderProven {
		s.fail("effect", "%s is out of the ring and has proof of a leader", n.name)
	}
}
