package election

import (
	"cmp"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// campaign decides when this member asks for votes.
type campaign struct {
	*roster
	promises *promises
	candidacy
	// wishedTerm is in which term this member asked for votes last, since wishedAt.
	wishedTerm uint64
	wishedAt   Instant
	// wonTerm is the newest term that this process was elected in, 0 for none.
	wonTerm uint64
}

// candidacy is a member's wish to lead, while nobody does.
type candidacy struct {
	// since is when the reason to campaign arose, 0 if there is none.
	since Instant
	next  Instant
	tries int
	// helped are the candidates whose pre-votes this member granted, votes is
	// how often it voted, votedIn the newest term of these.
	helped  []uint64
	votes   int
	votedIn uint64
	// yieldUntil is until when this member does not campaign, since it has helped
	// another candidate.
	yieldUntil Instant
	// askedIn is the term in which this candidate asks for votes after a pre-vote;
	// refused is true once somebody voted for another candidate.
	askedIn uint64
	refused bool
	// open are the newest votes or pre-votes that are not answered, repeated is how
	// often they were asked for again out of turn, repeatedAt when they were last.
	open       []*raftpb.Message
	repeated   int
	repeatedAt Instant
	// committed is up to where votes said that this member's log is committed.
	committed uint64
}

// quickTries is how many campaigns follow one another by the stagger before
// the interval grows.
const quickTries = 4

// campaignRule decides whether it is this member's turn to campaign. Heir
// number k waits k staggers, since two at once split the vote.
func (c *campaign) campaignRule() {
	if !c.isVoter(c.cfg.ID) || c.ring.RingID == "" || !c.leaderLost() {
		c.candidacy = candidacy{}
		if c.isVoter(c.cfg.ID) && c.ring.RingID != "" && c.raftLead != c.cfg.ID {
			c.wakeAt(max(c.roster.leaderHeard.Add(c.patience()), c.now+1))
			c.roster.missRenewal()
		}
		return
	}
	c.observer.lossNoticed()
	if !c.promises.free() {
		return // heldVotesRule wakes
	}
	c.observer.lossFreed()
	c.since = cmp.Or(c.since, c.now)
	rank := -1
	if c.tries == 0 || c.cfg.Trace != nil {
		rank = c.rank()
	}
	if c.tries == 0 {
		// Worked out again each time: a new certificate may move us forward.
		c.next = c.since.Add(time.Duration(rank) * c.ring.Settings.Stagger())
	}
	c.repeatVotes()
	if c.before(max(c.next, c.yieldUntil)) {
		return
	}
	if c.writing() {
		return // its Persisted comes back here
	}
	if !c.awaitsVotes() && c.takeCommitted() {
		return // what it leads to is applied first
	}
	c.tries++
	c.next = c.now.Add(c.retryAfter(c.tries))
	c.wakeAt(c.next)
	if c.awaitsVotes() {
		c.askAgain()
		return
	}
	c.observer.lossCampaign()
	c.trace("campaigns in term %d, try %d, as heir number %d", c.term+1, c.tries, rank)
	sure := c.tries == 1 && rank == 0 && c.roster.verdict(c.raftLead).certified()
	if !sure {
		c.forgetLeader()
	}
	c.vouch()
	c.twoLeft()
	c.open = nil
	c.parent.follow(c.ask(sure))
}

// awaitsVotes reports whether this member is a candidate that need not begin
// again. A majority granted its pre-vote, so it has reached one. If nobody refused,
// those that have not answered are slow, or their answers are lost. To begin again
// would help neither: it would put one more write before a slow disk. The certified
// dead never answer, and the survivor of a pair goes on alone in a campaign only.
func (c *campaign) awaitsVotes() bool {
	return c.candidate() && c.askedIn == c.term && !c.refused && c.now < c.wishedAt.Add(c.votePatience()) && c.enoughLive()
}

// enoughLive reports whether those who are not certified dead are a majority of the
// voters, of both halves while the configuration is joint.
func (c *campaign) enoughLive() bool {
	return c.majority(func(id uint64) bool { return !c.roster.verdict(id).certified() })
}

// repeatVotes asks again for votes and pre-votes that are not answered: a message or
// its answer may be lost. A candidate that has campaigned in vain before would come to
// that after leases only.
func (c *campaign) repeatVotes() {
	if len(c.open) == 0 {
		return
	}
	var pause time.Duration
	switch {
	case c.preCandidate():
		pause = c.ring.Settings.RenewEvery() // for as long as it takes, so no oftener than a leader renews
	case c.votesMayWin() && c.repeated < quickTries:
		pause = c.ring.Settings.Stagger()
	default:
		return
	}
	at := c.repeatedAt.Add(pause)
	if c.preCandidate() {
		at = max(at, c.yieldUntil) // two that win a pre-vote at once split the votes
	}
	if c.now >= at {
		c.repeated++
		c.askAgain()
		at = c.now.Add(pause)
	}
	c.wakeAt(at)
}

// votesMayWin reports whether the votes that this member asked for in its term are
// worth a repetition. Without a pre-vote nobody may be there. Where somebody refused,
// the others may be enough, but the first few campaigns begin again as soon.
func (c *campaign) votesMayWin() bool {
	return c.candidate() && c.askedIn == c.term && (!c.refused || c.tries > quickTries)
}

// votePatience is how long a candidate waits for slow voters at the most.
func (c *campaign) votePatience() time.Duration { return 16 * c.ring.Settings.Lease() }

// askAgain asks once more for the votes or pre-votes that are not answered.
func (c *campaign) askAgain() {
	if len(c.open) == 0 {
		return // all have answered: it waits for its own disk
	}
	c.trace("asks %d again: %v for term %d", len(c.open), c.open[0].GetType(), c.open[0].GetTerm())
	c.repeatedAt = c.now
	c.vouch()
	for _, m := range c.open {
		c.send(Message{To: m.GetTo(), Raft: m})
	}
}

// voteAsked notes a vote or pre-vote that raft asks for.
func (c *campaign) voteAsked(m *raftpb.Message) {
	if len(c.open) == 0 || c.open[0].GetType() != m.GetType() || c.open[0].GetTerm() != m.GetTerm() {
		c.open, c.repeated, c.repeatedAt = nil, 0, c.now
		if m.GetType() == raftpb.MsgVote {
			c.askedIn, c.refused = m.GetTerm(), false
			if len(m.GetContext()) > 0 {
				c.askedIn = 0 // without a pre-vote
			}
			if c.wishedTerm != m.GetTerm() {
				c.wishedTerm, c.wishedAt = m.GetTerm(), c.now
			}
		}
	}
	c.open = append(c.open, m)
}

// voteAnswered notes that a vote or pre-vote need not be asked for again.
func (c *campaign) voteAnswered(from uint64, m *raftpb.Message) {
	c.open = slices.DeleteFunc(c.open, func(o *raftpb.Message) bool {
		switch {
		case o.GetTo() != from:
			return false
		case m.GetType() == raftpb.MsgPreVoteResp:
			// A refusal is of the voter's own term, a grant of an older campaign may be late.
			return o.GetType() == raftpb.MsgPreVote && (m.GetReject() || o.GetTerm() == m.GetTerm())
		default:
			return m.GetType() == raftpb.MsgVoteResp && o.GetType() == raftpb.MsgVote && o.GetTerm() == m.GetTerm()
		}
	})
}

// campaignAsked gives the campaign that raft begins at a leader's word the time
// that it needs: one of our own on top of it would start over with a pre-vote,
// which nobody grants who has just heard that leader.
func (c *campaign) campaignAsked() {
	c.candidacy = candidacy{votes: c.candidacy.votes, votedIn: c.candidacy.votedIn, since: c.now, next: c.now.Add(2 * c.ring.Settings.Stagger()), tries: 1}
}

// yield leaves time to a candidate that this member has just helped: on busy
// machines an election takes longer than a stagger, and candidates that do not
// wait for each other go on for many terms. As with retryAfter, no two wait for
// equally long.
func (c *campaign) yield(d time.Duration) {
	c.candidacy.yieldUntil = max(c.candidacy.yieldUntil, c.now.Add(d).Add(time.Duration(c.cfg.Rand()%uint64(max(d, 1)))))
}

// yieldPreVote leaves time to the winner of a pre-vote. A candidate that reaches
// too few voters asks again and again, so only its first one is waited for.
func (c *campaign) yieldPreVote(to uint64) {
	if !slices.Contains(c.helped, to) {
		c.helped = append(c.helped, to)
		c.yield(c.ring.Settings.Stagger())
	}
}

// yieldVote leaves time after a vote, and more after each further one: the disk
// of another voter may be slow, and a candidate in a new term makes it write
// once more. The same vote may be asked for again.
func (c *campaign) yieldVote(term uint64) {
	if c.votedIn == term {
		return
	}
	s := c.ring.Settings.Stagger()
	c.yield(min(s<<min(c.votes, 10), max(s, c.votePatience()/4)))
	c.votedIn = term
	c.votes++
}

// retryAfter spreads further campaigns, so that two candidates that met once
// do not meet forever.
func (c *campaign) retryAfter(tries int) time.Duration {
	s := c.ring.Settings.Stagger()
	d := s
	if tries > quickTries {
		d = min(s<<min(tries-quickTries, 10), max(c.ring.Settings.Lease(), s))
	}
	return d + time.Duration(c.cfg.Rand()%uint64(d))
}

// tryAgainSoon ends a long wait for this member's next campaign: it has refused
// another candidate that it hears, most likely since that one's log is behind.
// If both went on to wait, nobody would lead.
func (c *campaign) tryAgainSoon() {
	if c.tries > quickTries {
		c.next = min(c.next, c.now.Add(c.retryAfter(1)))
	}
}

// startOver begins a campaign that has failed often with short waits again. It
// failed while a voter was out of reach, and that voter answers now, or is known to be
// dead.
func (c *campaign) startOver() {
	if c.tries > 1 {
		c.tries = 1
		c.next = min(c.next, c.now.Add(c.retryAfter(c.tries)))
	}
}

// rank is this member's place among the voters that may win now: 0 is the
// heir. Those known or thought to be dead are passed over; witnesses come last, since
// they can only be caretakers.
func (c *campaign) rank() int {
	dead := only(c.roster.peers.IDs(), c.roster.lost)
	if id := c.ring.LeaderID; id != c.cfg.ID {
		if heard := c.roster.peers.Value(id).heard; heard != 0 && c.now >= heard.Add(c.patience()) {
			dead = append(dead, id) // was heard in this life, and is silent now
		}
	}
	order := only(c.ring.Succession(dead...), c.isVoter)
	if rank := slices.Index(order, c.cfg.ID); rank >= 0 {
		return rank
	}
	// A witness, somebody thought dead, or somebody who left but whose log may
	// be the longest: after all others, by id.
	return len(order) + count(c.otherVoters(), func(id uint64) bool { return id < c.cfg.ID })
}

// vouch passes what voided the promise on to the voters, ahead of the vote.
func (c *campaign) vouch() {
	v := c.promises.voucher
	if v == (Message{}) {
		return
	}
	for _, v.To = range c.otherVoters() {
		c.send(v)
	}
}

// twoLeft lets the survivor of a pair go on alone. With exactly the voters A
// and B everything committed is on both, every majority needs B, and A's
// process is known to be gone; so B may take A out of its own configuration
// first and through the log afterwards.
//
// The pair must be sealed: without that, A may not know that the voters before
// the pair are out, and could lead with their votes.
//
// B's own incarnation must be the recorded one: a B that crashed and came back
// may itself have been dropped by A in the meantime. An unapplied change of
// the configuration, a join or a return in B's log would make "exactly A and
// B" uncertain.
//
// A follower does this only in the very step in which it campaigns, and so
// votes for itself in a new term: from then on A can be elected by nobody. A
// survivor that waited could still follow A, back in a new process, with a
// configuration that is not the log's.
func (c *campaign) twoLeft() {
	if other, ok := c.deadPartner(); ok {
		if why := c.unsettledLog(); why != "" {
			c.trace("does not go on alone: %s", why)
			return
		}
		c.trace("goes on alone: voter %d is certified dead (%s)", other, c.roster.peers.Value(other).cert.Exit)
		c.observer.claimPossibleWith(other)
		c.dropped = other
		c.parent.changeConf(&raftpb.ConfChange{Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: new(other)})
	}
}

// deadPartner returns the other one of a pair, if this member may go on
// without it.
func (c *campaign) deadPartner() (uint64, bool) {
	if c.dropped != 0 || c.writing() || len(c.conf.GetVotersOutgoing()) > 0 || len(c.conf.GetVoters()) != 2 || !c.isVoter(c.cfg.ID) {
		return 0, false
	}
	if c.candidate() || !slices.Equal(c.sealed, c.conf.GetVoters()) {
		return 0, false
	}
	other := c.otherVoters()[0]
	if !c.roster.verdict(other).certified() {
		return 0, false
	}
	me, ok := c.ring.Member(c.cfg.ID)
	return other, ok && me.Incarnation == c.cfg.Incarnation && !me.Witness
}

// leaderLost reports whether raft's present leader is silent for a lease, is
// suspected in its term, is certified dead, or is none.
func (c *campaign) leaderLost() bool {
	if _, ok := c.deadPartner(); ok {
		return true // who could lead but this member?
	}
	return c.raftLead != c.cfg.ID && (c.now >= c.roster.leaderHeard.Add(c.patience()) || c.leaderDead())
}

// leaderDead reports whether raft's leader, or the newest one if raft knows none, is
// certified dead or suspected in the term that it leads.
func (c *campaign) leaderDead() bool {
	id := cmp.Or(c.raftLead, c.ring.LeaderID)
	v := c.roster.verdict(id)
	return id != c.cfg.ID && (v.certified() || v.dead() && v.term == c.ring.Term && id == c.ring.LeaderID)
}
