package election

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// campaign is a member's wish to lead, while nobody does.
type campaign struct {
	// since is when the reason to campaign arose; it is meaningless while
	// active is false.
	active bool
	since  Instant
	next   Instant
	tries  int
	// helped are the candidates whose pre-votes this member granted, votes is
	// how often it voted, votedIn the newest term of these.
	helped  []uint64
	votes   int
	votedIn uint64
	// yieldUntil is until when this member does not campaign, since it has helped
	// another candidate.
	yieldUntil Instant
	// askedIn is the term in which this candidate asks for votes after a pre-vote,
	// askedAt since when; refused is true once somebody voted for another candidate.
	askedIn uint64
	askedAt Instant
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

// campaignTimers decides whether it is this member's turn to campaign. Heir
// number k waits k staggers, since two at once split the vote.
func (n *Node) campaignTimers() {
	c := &n.campaign
	if !n.isVoter(n.cfg.ID) || n.ring.RingID == "" || !n.leaderLost() {
		*c = campaign{}
		if n.isVoter(n.cfg.ID) && n.ring.RingID != "" && n.raftLead != n.cfg.ID {
			n.wakeAt(max(n.leaderHeard.Add(n.patience()), n.now+1))
			n.missRenewal()
		}
		return
	}
	n.lossNoticed()
	if !n.free() {
		return // voterTimers wakes
	}
	n.lossFreed()
	if !c.active {
		c.active, c.since, c.tries = true, n.now, 0
	}
	rank := -1
	if c.tries == 0 || n.cfg.Trace != nil {
		rank = n.rank()
	}
	if c.tries == 0 {
		// Worked out again each time: a new certificate may move us forward.
		c.next = c.since.Add(time.Duration(rank) * n.ring.Settings.Stagger())
	}
	n.repeatVotes()
	if next := max(c.next, c.yieldUntil); n.now < next {
		n.wakeAt(next)
		return
	}
	if n.writing() {
		return // its Persisted comes back here
	}
	if !n.awaitsVotes() && n.takeCommitted() {
		return // what it leads to is applied first
	}
	c.tries++
	if n.awaitsVotes() {
		c.next = n.now.Add(n.retryAfter(c.tries))
		n.wakeAt(c.next)
		n.askAgain()
		return
	}
	n.lossCampaign()
	c.next = n.now.Add(n.retryAfter(c.tries))
	n.wakeAt(c.next)
	n.trace("campaigns in term %d, try %d, as heir number %d", n.term+1, c.tries, rank)
	sure := c.tries == 1 && rank == 0 && n.certifiedLeader()
	if !sure {
		n.forgetLeader()
	}
	n.vouch()
	n.twoLeft()
	c.open = nil
	if err := n.ask(sure); err != nil {
		n.trace("campaign refused: %v", err)
	}
	n.refresh()
}

// awaitsVotes reports whether this member is a candidate that need not begin
// again. A majority granted its pre-vote, so it has reached one. If nobody refused,
// those that have not answered are slow, or their answers are lost. To begin again
// would help neither: it would put one more write before a slow disk. The certified
// dead never answer, and the survivor of a pair goes on alone in a campaign only.
func (n *Node) awaitsVotes() bool {
	c := &n.campaign
	return n.role == raft.StateCandidate && c.askedIn == n.term && !c.refused && n.now < c.askedAt.Add(n.votePatience()) && n.enoughLive()
}

// enoughLive reports whether those who are not certified dead are a majority of the
// voters, of both halves while the configuration is joint.
func (n *Node) enoughLive() bool {
	enough := func(voters []uint64) bool {
		dead := 0
		for _, id := range voters {
			if n.peers.Value(id).cert != nil {
				dead++
			}
		}
		return dead < len(voters)-len(voters)/2
	}
	out := n.conf.GetVotersOutgoing()
	return enough(n.conf.GetVoters()) && (len(out) == 0 || enough(out))
}

// repeatVotes asks again for votes and pre-votes that are not answered: a message or
// its answer may be lost. A candidate that has campaigned in vain before would come to
// that after leases only.
func (n *Node) repeatVotes() {
	c := &n.campaign
	if len(c.open) == 0 {
		return
	}
	var pause time.Duration
	switch {
	case n.role == raft.StatePreCandidate:
		pause = n.ring.Settings.RenewEvery() // for as long as it takes, so no oftener than a leader renews
	case n.votesMayWin() && c.repeated < quickTries:
		pause = n.ring.Settings.Stagger()
	default:
		return
	}
	at := c.repeatedAt.Add(pause)
	if n.role == raft.StatePreCandidate {
		at = max(at, c.yieldUntil) // two that win a pre-vote at once split the votes
	}
	if n.now >= at {
		c.repeated++
		n.askAgain()
		at = n.now.Add(pause)
	}
	n.wakeAt(at)
}

// votesMayWin reports whether the votes that this member asked for in its term are
// worth a repetition. Without a pre-vote nobody may be there. Where somebody refused,
// the others may be enough, but the first few campaigns begin again as soon.
func (n *Node) votesMayWin() bool {
	c := &n.campaign
	return n.role == raft.StateCandidate && c.askedIn == n.term && (!c.refused || c.tries > quickTries)
}

// votePatience is how long a candidate waits for slow voters at the most.
func (n *Node) votePatience() time.Duration { return 16 * n.ring.Settings.Lease() }

// askAgain asks once more for the votes or pre-votes that are not answered.
func (n *Node) askAgain() {
	c := &n.campaign
	if len(c.open) == 0 {
		return // all have answered: it waits for its own disk
	}
	n.trace("asks %d again: %v for term %d", len(c.open), c.open[0].GetType(), c.open[0].GetTerm())
	c.repeatedAt = n.now
	n.vouch()
	for _, m := range c.open {
		n.send(Message{To: m.GetTo(), Raft: m})
	}
}

// voteAsked notes a vote or pre-vote that raft asks for.
func (n *Node) voteAsked(m *raftpb.Message) {
	c := &n.campaign
	if len(c.open) == 0 || c.open[0].GetType() != m.GetType() || c.open[0].GetTerm() != m.GetTerm() {
		c.open, c.repeated, c.repeatedAt = nil, 0, n.now
		if m.GetType() == raftpb.MsgVote {
			c.askedIn, c.askedAt, c.refused = m.GetTerm(), n.now, false
			if len(m.GetContext()) > 0 {
				c.askedIn = 0 // without a pre-vote
			}
			if n.wished.term != m.GetTerm() {
				n.wished.term, n.wished.at = m.GetTerm(), n.now
			}
		}
	}
	c.open = append(c.open, m)
}

// voteAnswered notes that a vote or pre-vote need not be asked for again.
func (n *Node) voteAnswered(from uint64, m *raftpb.Message) {
	c := &n.campaign
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

// ask begins the election. The first heir of a leader that is certified dead
// asks for votes straight away, a round trip sooner: the vote before the vote
// is there to spare a leader that lives, and the certificate that goes ahead
// of it frees the voters. Nobody else follows a leader of this term.
func (n *Node) ask(sure bool) error {
	if !sure || n.role != raft.StateFollower {
		return n.rn.Campaign()
	}
	n.forced = true
	err := n.rn.Step(&raftpb.Message{Type: new(raftpb.MsgTimeoutNow), From: new(n.cfg.ID), To: new(n.cfg.ID), Term: new(n.term)})
	n.refresh()
	n.forced = false
	return err
}

// certifiedLeader tells whether raft's leader in this term is certified dead.
func (n *Node) certifiedLeader() bool {
	return n.peers.Value(n.raftLead).cert != nil && n.raftLead != 0
}

// campaignAsked gives the campaign that raft begins at a leader's word the time
// that it needs: one of our own on top of it would start over with a pre-vote,
// which nobody grants who has just heard that leader.
func (n *Node) campaignAsked() {
	n.campaign = campaign{active: true, votes: n.campaign.votes, votedIn: n.campaign.votedIn, since: n.now, next: n.now.Add(2 * n.ring.Settings.Stagger()), tries: 1}
}

// yield leaves time to a candidate that this member has just helped: on busy
// machines an election takes longer than a stagger, and candidates that do not
// wait for each other go on for many terms. As with retryAfter, no two wait for
// equally long.
func (n *Node) yield(d time.Duration) {
	n.campaign.yieldUntil = max(n.campaign.yieldUntil, n.now.Add(d).Add(time.Duration(n.cfg.Rand()%uint64(max(d, 1)))))
}

// yieldPreVote leaves time to the winner of a pre-vote. A candidate that reaches
// too few voters asks again and again, so only its first one is waited for.
func (n *Node) yieldPreVote(to uint64) {
	c := &n.campaign
	if !slices.Contains(c.helped, to) {
		c.helped = append(c.helped, to)
		n.yield(n.ring.Settings.Stagger())
	}
}

// yieldVote leaves time after a vote, and more after each further one: the disk
// of another voter may be slow, and a candidate in a new term makes it write
// once more. The same vote may be asked for again.
func (n *Node) yieldVote(term uint64) {
	c := &n.campaign
	if c.votedIn == term {
		return
	}
	s := n.ring.Settings.Stagger()
	n.yield(min(s<<min(c.votes, 10), max(s, n.votePatience()/4)))
	c.votedIn = term
	c.votes++
}

// retryAfter spreads further campaigns, so that two candidates that met once
// do not meet for ever.
func (n *Node) retryAfter(tries int) time.Duration {
	s := n.ring.Settings.Stagger()
	d := s
	if tries > quickTries {
		d = min(s<<min(tries-quickTries, 10), max(n.ring.Settings.Lease(), s))
	}
	return d + time.Duration(n.cfg.Rand()%uint64(d))
}

// tryAgainSoon ends a long wait for this member's next campaign: it has refused
// another candidate that it hears, most likely since that one's log is behind.
// If both went on to wait, nobody would lead.
func (n *Node) tryAgainSoon() {
	if c := &n.campaign; c.active && c.tries > quickTries {
		c.next = min(c.next, n.now.Add(n.retryAfter(1)))
	}
}

// startOver begins a campaign that has failed often with short waits again. It
// failed while a voter was out of reach, and that voter answers now, or is known to be
// dead.
func (n *Node) startOver() {
	c := &n.campaign
	if c.active && c.tries > 1 {
		c.tries = 1
		c.next = min(c.next, n.now.Add(n.retryAfter(c.tries)))
	}
}

// rank is this member's place among the voters that may win now: 0 is the
// heir. Those known or thought to be dead are passed over; witnesses come last, since
// they can only be caretakers.
func (n *Node) rank() int {
	dead := n.dead(func(id uint64, s *suspect) bool { return id != n.ring.LeaderID || s.Term == n.ring.Term })
	if id := n.ring.LeaderID; id != n.cfg.ID {
		if heard := n.peers.Value(id).heard; heard.set && n.now >= heard.at.Add(n.patience()) {
			dead = append(dead, id) // was heard in this life, and is silent now
		}
	}
	rank := 0
	for _, id := range n.ring.Succession(dead...) {
		if id == n.cfg.ID {
			return rank
		}
		if n.isVoter(id) {
			rank++
		}
	}
	// A witness, somebody thought dead, or somebody who left but whose log may
	// be the longest: after all others, by id.
	voters := append(n.otherVoters(), n.cfg.ID)
	slices.Sort(voters)
	return rank + slices.Index(voters, n.cfg.ID)
}

// vouch passes what voided the promise on to the voters, ahead of the vote.
func (n *Node) vouch() {
	v := n.voter.voucher
	if v.Certificate == nil && v.Release == nil && v.Suspicion == nil {
		return
	}
	for _, id := range n.otherVoters() {
		m := v
		m.To = id
		n.send(m)
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
func (n *Node) twoLeft() {
	if other, ok := n.deadPartner(); ok {
		if why := n.unsettledLog(); why != "" {
			n.trace("does not go on alone: %s", why)
			return
		}
		n.trace("goes on alone: voter %d is certified dead (%s)", other, n.peers.Value(other).cert.Exit)
		n.claimPossibleWith(other)
		n.dropped = other
		n.changeConf(removeNode(other))
	}
}

// deadPartner returns the other one of a pair, if this member may go on
// without it.
func (n *Node) deadPartner() (uint64, bool) {
	if n.dropped != 0 || n.writing() || len(n.conf.GetVotersOutgoing()) > 0 || len(n.conf.GetVoters()) != 2 || !n.isVoter(n.cfg.ID) {
		return 0, false
	}
	if n.role == raft.StateCandidate || !slices.Equal(n.sealed, n.conf.GetVoters()) {
		return 0, false
	}
	other := n.otherVoters()[0]
	if n.peers.Value(other).cert == nil {
		return 0, false
	}
	me, ok := n.ring.Member(n.cfg.ID)
	return other, ok && me.Incarnation == n.cfg.Incarnation && !me.Witness
}

// unsettledLog names the first unapplied entry that could change who is in the
// ring, or returns "".
func (n *Node) unsettledLog() string {
	last, err := n.store.LastIndex()
	if err != nil || last <= n.applied {
		return ""
	}
	entries, err := n.store.Entries(n.applied+1, last+1, Never64)
	if err != nil {
		return fmt.Sprintf("the log after index %d cannot be read: %v", n.applied, err)
	}
	for _, e := range entries {
		if n.changesVoters(e) {
			return fmt.Sprintf("the configuration change at index %d is not committed", e.GetIndex())
		}
		if e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0 {
			continue
		}
		c, err := ring.DecodeCommand(e.GetData())
		if err != nil || c.Join != nil || c.Return != nil {
			return fmt.Sprintf("the join or return at index %d is not committed", e.GetIndex())
		}
	}
	return ""
}
