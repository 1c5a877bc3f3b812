package election

import (
	"fmt"

	"github.com/arc-ring/arc/ring"
)

// following is what this member knows of its leader.
type following struct {
	*leadership
	promises *promises
}

// leaderUntil is Node.LeaderUntil.
//
// The leader's proof is its claim. A voter's is the leader's word, which comes
// with every renewal: it lasts for a lease, as the promise does. A learner
// hears less often: the leader sends one learner at a time a heartbeat at each
// tick, so its proof lasts a round through all of them. A learner that has a
// reason to think that it is cut off has no more than a lease from then on.
// Both ask the leader before their proof ends.
func (f *following) leaderUntil() Instant {
	if f.removed || !f.leaderDeclaredInTerm() {
		return 0
	}
	if f.raftLead == f.cfg.ID {
		_, end := f.leadership.claimUntil()
		return end
	}
	if f.roster.verdict(f.raftLead).certified() || f.releasedByLeader() {
		return 0
	}
	lease := f.ring.Settings.Lease()
	word := max(f.roster.leaderHeard, f.roster.leaderShown)
	if f.isVoter(f.cfg.ID) {
		if p := f.promises.promise; p.to == f.raftLead && p.Term == f.term {
			return max(word.Add(lease), p.until)
		}
		return word.Add(lease)
	}
	until := word.Add(f.heartbeatRound()).Add(lease)
	if f.roster.touchDoubted > word {
		until = min(until, f.roster.touchDoubted.Add(lease))
	}
	return until
}

// releasedByLeader reports whether the leader of this term said that it leads no
// longer, and did not renew since. One whose lease had ended and came back renews
// to voters alone; a learner goes by appends and heartbeats.
func (f *following) releasedByLeader() bool { return f.releasedIn(f.term) }

// releasedIn is releasedByLeader for the leader of a term.
func (f *following) releasedIn(term uint64) bool {
	v := f.promises
	if v.lapsedAt != 0 && f.roster.leaderHeard > v.lapsedAt && !f.isVoter(f.cfg.ID) {
		return false
	}
	return v.voidTerm == term && (v.promise.Term != term || v.promise.Seq <= v.voidSeq)
}

// proofRule asks the leader whether it leads before this member's proof of it
// ends, and wakes when it ends, since that is news. A voter asks in missRenewal.
func (f *following) proofRule() {
	until := f.leaderUntil()
	if until == 0 || until == Never || f.raftLead == f.cfg.ID {
		return
	}
	if f.now < until {
		f.wakeAt(until)
	}
	if f.isVoter(f.cfg.ID) {
		return
	}
	lease := f.ring.Settings.Lease()
	word := max(f.roster.leaderHeard, f.roster.leaderShown)
	ask := word.Add(f.heartbeatRound()).Add(lease * 2 / 3)
	if f.roster.touchDoubted > word {
		ask = f.roster.touchDoubted
	}
	if f.before(ask) {
		return
	}
	leader := f.roster.peers.Ensure(f.raftLead)
	if at := leader.checked; at != 0 && at >= ask && f.before(at.Add(f.ring.Settings.RenewEvery())) {
		return
	}
	leader.checked = f.now
	f.send(Message{To: f.raftLead, Check: &Check{}})
	f.wakeAt(f.now.Add(f.ring.Settings.RenewEvery()))
}

// answerCheck gives a sign of life, and says whether this member claims.
func (f *following) answerCheck(to uint64) {
	f.send(Message{To: to, Check: &Check{Answer: true, Term: f.leadership.claim(f.now)}})
}

// checkAnswered takes a member's sign of life. Only one that says that it claims
// is proof of a leader, and only for those who want to know who leads: it
// prolongs no promise and holds up no election.
func (f *following) checkAnswered(from uint64, c Check) {
	if c.Term != 0 && c.Term == f.ring.Term && from == f.ring.LeaderID {
		f.roster.leaderShown = f.now
	}
}

// lost says why there is no proof any more that the leader that was declared last
// leads. The sentence calls it subject, or "this node". It is "" if nobody ever led.
func (f *following) lost(subject string) string {
	id := f.ring.LeaderID
	v, past := f.roster.verdict(id), f.ring.History
	switch {
	case f.ring.Term == 0 || len(past) == 0:
		return ""
	case id == 0:
		return past[len(past)-1].Name + " is no member any more"
	case id == f.cfg.ID:
		return "this node " + f.ownEnd()
	case v.certified():
		return fmt.Sprintf("%s is certified dead by its own monitor: %s", subject, f.roster.peers.Get(id).cert.Exit)
	case f.releasedIn(f.ring.Term) && f.promises.lapsedAt != 0:
		return subject + " says that its lease ran out"
	case f.releasedIn(f.ring.Term):
		return subject + " hands over"
	case v.dead() && v.term == f.ring.Term:
		return fmt.Sprintf("%s is suspected by %s: %s", subject, f.nameOf(v.by), v.evidence)
	case f.roster.leaderHeard <= 0 && f.roster.leaderShown <= 0:
		return subject + " was not heard since this node started"
	default:
		return subject + " was not heard for too long"
	}
}

// ownEnd says why this member, which led last, does not any more.
func (f *following) ownEnd() string {
	switch f.recorder.ownLoss() {
	case ring.Unanswered:
		return "led, and no majority answered it"
	case ring.BornAgain:
		return "led, and was restarted"
	}
	if f.lease.released {
		return "hands over"
	}
	return "leads no longer"
}

// renewed takes a leader's Renew.
func (f *following) renewed(from uint64, r Renew) {
	if f.leads() || f.candidate() || r.Term != f.term || f.raftLead != 0 && f.raftLead != from {
		return
	}
	if f.promises.takeRenewal(from, r) {
		f.roster.leaderHeard = f.now
	}
}

// released takes a leader's word that it leads no longer. Nobody else's ends a promise
// to it.
func (f *following) released(from uint64, r Release) {
	if p := f.promises.promise; r.Term == p.Term && (r.ID != p.to || r.Incarnation != p.Incarnation) || r.Term == f.term && f.raftLead != 0 && r.ID != f.raftLead {
		f.refuse(from, "member %d releases the voters of term %d, in which another process leads", r.ID, r.Term)
		return
	}
	if r.Term > f.term || !f.promises.takeRelease(r) {
		return
	}
	// The leader may come back at once, so nobody campaigns at once.
	if r.Lapsed && r.Term == f.term && f.raftLead == r.ID {
		f.roster.leaderHeard = min(f.roster.leaderHeard, f.now.Add(-f.patience()).Add(f.ring.Settings.RenewEvery()/2))
	}
}
