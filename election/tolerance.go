package election

import (
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/raft/v3/tracker"
)

// Tolerance says how much more a ring can lose, and whom it needs if it has lost
// too much, as far as one member knows.
type Tolerance struct {
	// CanLose is how many machines can be lost at once, whichever they are, before
	// there is no leader.
	CanLose int
	// BearsCrash is true for a pair of which each goes on alone when the other's
	// process is certified dead, although the loss of its machine stops it.
	BearsCrash bool
	// Needed is how many of those in NeededOf have to answer before there can be a
	// leader; 0 while there is one, or one is being elected.
	Needed   int
	NeededOf []string
}

// neededLeases is for how many leases a voter that is not heard still counts as
// there while nobody leads: those who wait for a leader are heard when they
// campaign, which is not more often than that.
const neededLeases = 4

// tolerance works it out from the voters of both halves of the configuration:
// each needs its majority, and some voter that may lead.
func (s *status) tolerance(now Instant) (t Tolerance) {
	if s.ring.RingID == "" || s.removed {
		return t
	}
	halves, led, absent := s.halves(), now < s.following.leaderUntil(), s.knowsAbsent(now)
	for i, voters := range halves {
		if !led {
			if need, of := s.missing(voters, now); absent && need > t.Needed {
				t.Needed, t.NeededOf = need, s.namesOf(of)
			}
			continue
		}
		alive := only(voters, func(id uint64) bool { return s.isMember(id) && s.roster.thoughtAlive(id) })
		lead := count(alive, s.mayLead)
		can := max(min(len(alive)-len(voters)/2-1, lead-1), 0)
		if i == 0 || can < t.CanLose {
			t.CanLose = can
		}
		t.BearsCrash = len(halves) == 1 && len(voters) == 2 && lead == 2 && slices.Equal(s.sealed, voters)
	}
	return t
}

// missing returns how many of which voters have to answer to make a majority, or
// to bring back somebody who may lead.
func (s *status) missing(voters []uint64, now Instant) (int, []uint64) {
	away := only(voters, func(id uint64) bool { return !s.isThere(id, now) })
	leadersAway := only(away, s.mayLead)
	switch need := len(voters)/2 + 1 - (len(voters) - len(away)); {
	case need > 0:
		return need, away
	case len(leadersAway) > 0 && len(leadersAway) == count(voters, s.mayLead):
		return 1, leadersAway
	default:
		return 0, nil
	}
}

func (s *status) mayLead(id uint64) bool {
	m, ok := s.ring.Member(id)
	return ok && !m.Witness
}

// isThere reports whether a voter counts as there while nobody leads.
func (s *status) isThere(id uint64, now Instant) bool {
	return id == s.cfg.ID || s.roster.thoughtAlive(id) && s.answers(id, now)
}

// answers reports whether a voter counts as there while nobody leads. A leader
// that does not claim asks for answers all the time: those before the end of its
// claim are too old.
func (s *status) answers(id uint64, now Instant) bool {
	heard := s.roster.peers.Value(id).heard
	lease := s.ring.Settings.Lease()
	if !s.leads() || !s.declared() || s.leadership.claimTerm != s.term {
		return heard != 0 && now < heard.Add(neededLeases*lease)
	}
	return now < s.lease.boundUntil(id) || heard != 0 && heard >= s.leadership.claimEnd && now < heard.Add(lease)
}

// needs says it for people: "needs one of n2, n3".
func (t Tolerance) needs() string {
	names := strings.Join(t.NeededOf, ", ")
	switch {
	case t.Needed == 0:
		return ""
	case t.Needed == len(t.NeededOf):
		return "needs " + names
	case t.Needed == 1:
		return "needs one of " + names
	default:
		return fmt.Sprintf("needs %d of %s", t.Needed, names)
	}
}

// Progress returns the newest log entry that members have, by id, as far as is
// known: a leader knows everybody's, others their own. committed is the newest
// entry that is known to be committed.
func (n *Node) Progress() (index map[uint64]uint64, committed uint64) {
	index = map[uint64]uint64{}
	if n.removed {
		return index, 0
	}
	if !n.leads() {
		index[n.cfg.ID] = n.applied
		return index, n.commit
	}
	n.progress(func(id uint64, _ bool, p tracker.Progress) { index[id] = p.Match })
	return index, n.commit
}
