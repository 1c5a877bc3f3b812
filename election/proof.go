package election

import "time"

// LeaderUntil returns until when this member has proof that the declared leader
// leads, as far as is known now; 0 if it has none. Never is returned only by a
// leader that no other voter can depose.
//
// The leader's proof is its claim. A voter's is the leader's word, which comes
// with every renewal: it lasts for a lease, as the promise does. A learner
// hears less often: the leader sends one learner at a time a heartbeat at each
// tick, so its proof lasts a round through all of them. A learner that has a
// reason to think that it is cut off has no more than a lease from then on.
// Both ask the leader before their proof ends.
func (n *Node) LeaderUntil() Instant {
	if !n.stepping && !n.removed {
		return n.settled.leaderUntil
	}
	return n.leaderUntil()
}

func (n *Node) leaderUntil() Instant {
	if n.removed || !n.leaderDeclaredInTerm() {
		return 0
	}
	if n.raftLead == n.cfg.ID {
		_, end := n.ClaimUntil()
		return end
	}
	if n.peers.Value(n.raftLead).cert != nil || n.releasedByLeader() {
		return 0
	}
	lease := n.ring.Settings.Lease()
	word := max(n.leaderHeard, n.leaderShown)
	if n.isVoter(n.cfg.ID) {
		if p := n.voter.promise; p.to == n.raftLead && p.term == n.term {
			return max(word.Add(lease), p.until)
		}
		return word.Add(lease)
	}
	until := word.Add(n.heartbeatRound()).Add(lease)
	if n.touchDoubted > word {
		until = min(until, n.touchDoubted.Add(lease))
	}
	return until
}

// leaderDeclaredInTerm reports whether raft's leader in this term is the
// declared one, as far as is known here.
func (n *Node) leaderDeclaredInTerm() bool {
	return n.raftLead != 0 && n.ring.LeaderID == n.raftLead && n.ring.Term == n.term
}

// releasedByLeader reports whether the leader of this term said that it leads no
// longer, and did not renew since. One whose lease had ended and came back renews
// to voters alone; a learner goes by appends and heartbeats.
func (n *Node) releasedByLeader() bool {
	v := &n.voter
	if v.lapsedAt != 0 && n.leaderHeard > v.lapsedAt && !n.isVoter(n.cfg.ID) {
		return false
	}
	return v.voidTerm == n.term && (v.promise.term != n.term || v.promise.seq <= v.voidSeq)
}

// heartbeatRound is how long the leader takes to send each learner a heartbeat.
func (n *Node) heartbeatRound() time.Duration {
	return time.Duration(max(len(n.conf.GetLearners()), 1)) * n.ring.Settings.Lease()
}

// proofTimers asks the leader whether it leads before this member's proof of it
// ends, and wakes when it ends, since that is news. A voter asks in missRenewal.
func (n *Node) proofTimers() {
	until := n.LeaderUntil()
	if until == 0 || until == Never || n.raftLead == n.cfg.ID {
		return
	}
	if n.now < until {
		n.wakeAt(until)
	}
	if n.isVoter(n.cfg.ID) {
		return
	}
	lease := n.ring.Settings.Lease()
	word := max(n.leaderHeard, n.leaderShown)
	ask := word.Add(n.heartbeatRound()).Add(lease * 2 / 3)
	if n.touchDoubted > word {
		ask = n.touchDoubted
	}
	if n.now < ask {
		n.wakeAt(ask)
		return
	}
	leader := n.peers.Ensure(n.raftLead)
	if at := leader.checked.at; leader.checked.set && at >= ask && n.now < at.Add(n.ring.Settings.RenewEvery()) {
		n.wakeAt(at.Add(n.ring.Settings.RenewEvery()))
		return
	}
	leader.checked = markAt(n.now)
	n.send(Message{To: n.raftLead, Check: &Check{}})
	n.wakeAt(n.now.Add(n.ring.Settings.RenewEvery()))
}

// answerCheck gives a sign of life, and says whether this member claims.
func (n *Node) answerCheck(to uint64) {
	term, _, _ := n.Claim(n.now)
	n.send(Message{To: to, Check: &Check{Answer: true, Term: term}})
}

// checkAnswered takes a member's sign of life. Only one that says that it claims
// is proof of a leader, and only for those who want to know who leads: it
// prolongs no promise and holds up no election.
func (n *Node) checkAnswered(from uint64, c Check) {
	if c.Term != 0 && c.Term == n.ring.Term && from == n.ring.LeaderID {
		n.leaderShown = n.now
	}
}

// unproven says why this member has no proof that the declared leader leads.
func (n *Node) unproven() string {
	switch {
	case n.peers.Value(n.raftLead).cert != nil:
		return "its process has ended"
	case n.releasedByLeader():
		return "it says that it claims no longer"
	case n.leaderHeard <= 0 && n.leaderShown <= 0:
		return "it was not heard since this node started"
	default:
		return "too long ago that it was heard"
	}
}
