package election

import (
	"fmt"
	"slices"
	"strings"

	"github.com/arc-ring/arc/ring"
)

// missingAfter is for how many leases a member hears no leader before it says that
// a voter that it does not hear is not there. An election takes less, and only then do
// the voters talk to one another.
const missingAfter = isolationLeases

// unledSince is when this member last heard a leader, or led, as far as that counts
// for missingAfter. A learner hears its leader less often, and a process that stood still
// has not heard anybody meanwhile.
func (s *status) unledSince(now Instant) Instant {
	heard := max(s.roster.leaderHeard, s.roster.leaderShown)
	if !s.isVoter(s.cfg.ID) {
		heard = heard.Add(s.heartbeatRound())
	}
	return max(s.born, heard, min(s.leadership.claimEnd, now), s.roster.resumed)
}

// knowsAbsent reports whether nobody is known to lead, and a voter that this member does
// not hear is not there. A leader that lost its claim asks all the time, and knows at once,
// or, if it stood still, once the answers had time to come.
func (s *status) knowsAbsent(now Instant) bool {
	if s.removed || s.ring.RingID == "" || now < s.following.leaderUntil() {
		return false
	}
	lease := s.ring.Settings.Lease()
	if s.leads() && s.declared() {
		return s.roster.resumed == 0 || now >= s.roster.resumed.Add(lease)
	}
	return now >= s.unledSince(now).Add(missingAfter*lease)
}

// Missing says in a sentence whose disks a majority of the voters needs; "" while
// somebody leads, or is being elected.
func (n *Node) Missing(now Instant) string {
	if n.removed || n.ring.RingID == "" || now < n.following.leaderUntil() || n.membership.asksWhetherMember(now) {
		return ""
	}
	if s, out := n.membership.saidOut(); out {
		// The ring went on without this member, and it is that one that waits.
		silent := only(s.Voters, func(id uint64) bool { return n.roster.peers.Value(id).answer == nil })
		needed := len(s.Voters)/2 + 1 - (len(s.Voters) - len(silent))
		return missingText(Tolerance{Needed: needed, NeededOf: n.namesOf(silent)}, n.status.whereabouts(s.Voters), "")
	}
	if now < n.status.unledSince(now).Add(missingAfter*n.ring.Settings.Lease()) {
		return ""
	}
	text := missingText(n.status.tolerance(now), n.status.whereabouts(n.conf.GetVoters()), n.status.cutOff(now))
	if text != "" {
		text += n.status.doubted(now)
	}
	return text
}

// unheard returns the voters that this member should hear by now and does not, while
// nobody is known to lead. One that asks whether it still is a member says nothing of
// them: the ring may go on without it.
func (s *status) unheard(now Instant) []uint64 {
	if !s.knowsAbsent(now) || s.membership.asksWhetherMember(now) {
		return nil
	}
	_, out := s.membership.saidOut()
	return only(s.otherVoters(), func(id uint64) bool { return !s.answers(id, now) && (!out || s.roster.peers.Value(id).answer == nil) })
}

// cutOff says that it may be this member that is cut off, "" if not: it hears none of
// the other voters, or so few that the others may have elected a leader.
func (s *status) cutOff(now Instant) string {
	others := s.otherVoters()
	mayLive := func(id uint64) bool {
		return id != s.cfg.ID && !s.isThere(id, now) && !s.roster.verdict(id).certified()
	}
	silent := only(others, mayLive)
	switch {
	case len(silent) > 0 && len(silent) == len(others):
		return "this node hears none of the others, who may lead: look at its network first, then whether they run"
	case s.majority(mayLive) && slices.ContainsFunc(silent, s.mayLead):
		return fmt.Sprintf("this node does not hear %s, who may lead: look at its network first, then whether they run", strings.Join(s.namesOf(silent), ", "))
	default:
		return ""
	}
}

// doubted says which voters speak as another process that this member does not
// count, and what an operator can do.
func (s *status) doubted(now Instant) (text string) {
	for _, id := range s.otherVoters() {
		c, m := s.roster.peers.Value(id).claim, s.memberOrGone(id)
		if c == nil || now >= c.heard.Add(s.ring.Settings.Lease()) || c.incarnation == s.identity.holder(m) || s.identity.behind(m, c) {
			continue
		}
		text += fmt.Sprintf("; %s speaks as another process than the one at %s, which is silent and may live: if it has ended, restart this node",
			m.Name, strings.Join(m.Addresses, ", "))
	}
	return text
}

// missingText says whom t needs, with their disks, where the voters are, and what to
// look at first.
func missingText(t Tolerance, voters []string, cutOff string) string {
	disks, advice := "its disk", "if a disk is lost: arc recover"
	if cutOff != "" {
		advice = cutOff + "; " + advice
	}
	switch {
	case t.Needed <= 0:
		return ""
	case t.Needed > 1:
		disks = "their disks"
	}
	return fmt.Sprintf("%s with %s; the voters are %s; %s", t.needs(), disks, strings.Join(voters, ", "), advice)
}

// majorityText says how many voters a leader needs.
func (s *status) majorityText() string {
	voters := s.conf.GetVoters()
	if len(voters) == 1 {
		return "the only voter is " + s.nameOf(voters[0])
	}
	return fmt.Sprintf("%d of %d voters are needed", len(voters)/2+1, len(voters))
}

// whereabouts names the others with their addresses.
func (s *status) whereabouts(ids []uint64) []string {
	names := s.namesOf(ids)
	for i, id := range ids {
		if id != s.cfg.ID {
			names[i] = ring.Whereabouts(names[i], s.memberOrGone(id).Addresses)
		}
	}
	return names
}
