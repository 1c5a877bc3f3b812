package sim

import (
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/verify"
	"github.com/arc-ring/arc/ring"
)

const forgetting = "wish: forget"

// wish lets an operator ask something of a whole ring, with no fault at work,
// if the quiet time is long enough for it to settle again. It has to come
// about: during a storm no single request has to.
func (s *Sim) wish() {
	due := s.now + int64(s.answerBound())
	if !s.demand || due+s.settle() >= s.quietUntil {
		return
	}
	op := &operation{via: s.wishes.IntN(len(s.nodes)), wish: true}
	if to := s.wishes.IntN(len(s.ledger.Members)); s.wishes.IntN(3) == 0 && s.mayTakeOver(s.ledger.Members[to]) {
		id := s.ledger.Members[to].ID
		op.what = "wish: handover"
		op.make = func(*node) (election.Request, bool) {
			return election.Request{Handover: &election.Handover{To: id}}, true
		}
	} else if d := s.departed(); len(d) > 0 && s.wishes.IntN(2) == 0 {
		id := d[s.wishes.IntN(len(d))].ID
		op.what = forgetting
		op.make = func(*node) (election.Request, bool) {
			return election.Request{Forget: &ring.Forget{IDs: []uint64{id}}}, true
		}
	} else {
		// A setting that no timing depends on.
		st := s.ledger.settings
		st.GraceMS ^= 1
		op.what = "wish: settings"
		s.asked.settings[st] = true
		op.make = func(*node) (election.Request, bool) { return election.Request{Settings: &st}, true }
	}
	s.opNext(op, 0, s.leaderNow())
	s.q.push(event{at: due, kind: evWish, p: op})
}

// departed are the former members that the leader lists.
func (s *Sim) departed() []ring.Departed {
	l := s.leaderNow()
	if l < 0 || s.nodes[l].core == nil {
		return nil
	}
	return s.nodes[l].core.State().Departed
}

// mayTakeOver reports whether a handover to a member has to succeed. Its last
// step has to be over within a lease: where operators chose one that is too
// short for the network, it may not be. A process that gave a term up since its lease
// had run out declines for eight leases: it is asked again, but not for so long.
func (s *Sim) mayTakeOver(m verify.Member) bool {
	lease := s.ledger.settings.Lease()
	if i := s.machineOf(m.ID); i < 0 || s.nodes[i].lapsedAt != 0 && s.now+int64(handoverTime(lease)) < s.nodes[i].lapsedAt+int64(9*lease) {
		return false
	}
	return !m.Witness && m.ID != s.ledger.Leader && lease >= 16*(s.net.Base+s.net.Jitter)
}

// wishDue checks that it came about.
func (s *Sim) wishDue(op *operation) {
	if !op.answered {
		s.fail("done", "a whole ring was asked for something (%s) %v ago, with no fault at work, and it has not come about", op.what, time.Duration(s.answerBound()))
	}
}
