package election

import (
	"cmp"
	"fmt"
	"time"
)

// status says what an operator wants to know.
type status struct {
	*following
	identity   *identity
	membership *membership
}

// reason says what this member does. It takes what Tolerance needs, and Missing.
func (s *status) reason(now Instant, needs, missing string) string {
	switch {
	case s.removed:
		return "no member of the ring any more"
	case s.leads() && s.declared():
		if s.leadership.claim(now) != 0 {
			return fmt.Sprintf("this node leads, token %d", s.ring.Term)
		}
		if s.lease.released {
			return fmt.Sprintf("this node gave its claim up to hand over, token %d", s.ring.Term)
		}
		return fmt.Sprintf("this node is declared with token %d, but does not claim: %s", s.ring.Term, cmp.Or(missing, needs, "too few voters answer"))
	case s.leads():
		return fmt.Sprintf("this node is caretaker in term %d: %s", s.term, cmp.Or(s.leadership.lead.why, "it has just won the vote"))
	case now >= s.promises.waitUntil && missing != "":
		return "no leader known: " + missing
	case s.leaderDeclaredInTerm() && now < s.following.leaderUntil():
		return fmt.Sprintf("%s leads, token %d", s.nameOf(s.raftLead), s.ring.Term)
	case s.leaderDeclaredInTerm():
		return fmt.Sprintf("no proof that %s leads: %s%s", s.nameOf(s.raftLead), s.following.lost("it"), and(needs))
	case s.raftLead != 0:
		return fmt.Sprintf("%s is caretaker in term %d%s", s.nameOf(s.raftLead), s.term, and(needs))
	case now < s.promises.waitUntil:
		return fmt.Sprintf("restarted: takes part in elections in %v%s", s.promises.waitUntil.Sub(now).Round(time.Millisecond), and(needs))
	case s.ring.RingID == "":
		return "no leader known: this node was let in, and waits for the ring's log"
	default:
		return fmt.Sprintf("no leader known: %s", cmp.Or(needs, s.lostLeader(now), s.majorityText()))
	}
}

// lostLeader is Status.Lost.
func (s *status) lostLeader(now Instant) string {
	if s.removed || s.leads() || now < s.following.leaderUntil() {
		return ""
	}
	return s.following.lost(s.nameOf(s.ring.LeaderID))
}
