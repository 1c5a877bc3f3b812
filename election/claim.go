package election

import (
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/arc-ring/arc/ring"
)

// claim is what is known of a process that wants to be a member.
type claim struct {
	incarnation uint64
	// heard is when it was last heard of, ret what it announces, votes the newest
	// of each kind that it asked for or answered.
	heard Instant
	ret   *Return
	votes []*raftpb.Message
	// had is up to where the member had acknowledged this leader's log when the
	// process was first heard, in term hadIn.
	had, hadIn uint64
	// asked is when the holder was last asked whether it lives, waiting true
	// until it answers.
	asked   Instant
	waiting bool
	// knew: ret was known when the holder was last asked. An earlier answer could not
	// decide.
	knew bool
	// askedWho is when it was last asked to announce itself.
	askedWho Instant
	// refused is when it was last told that it is not the member.
	refused Instant
}

// noteClaim takes down what a process that does not count says.
func (n *Node) noteClaim(m ring.Member, msg Message) *claim {
	p := n.peers.Ensure(m.ID)
	if p.claim == nil {
		p.claim = &claim{asked: -Never / 2, askedWho: -Never / 2}
	}
	c := p.claim
	if c.incarnation != msg.Incarnation {
		c.incarnation, c.ret, c.votes = msg.Incarnation, nil, nil
		c.had, c.hadIn = n.acknowledged(m.ID), n.term
		// An answer on its way was for another claim, and so was what was told.
		c.waiting, c.refused = false, 0
	}
	c.heard = n.now
	if r := msg.Return; r != nil && r.ID == m.ID && r.Incarnation == msg.Incarnation {
		c.ret = r
	}
	switch v := msg.Raft; v.GetType() {
	case raftpb.MsgVote, raftpb.MsgPreVote, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:
		c.votes = append(slices.DeleteFunc(c.votes, func(o *raftpb.Message) bool { return o.GetType() == v.GetType() }), v)
	}
	return c
}

// behind reports whether the process that claims to be a member was started from
// a data directory that is older than what its member did since: the directory
// knows neither the recorded process nor the holder, or its log ends before
// what the member has acknowledged to this leader. One that knows a later term
// proves nothing by that: a later leader may have cut the log. In a pair the
// recorded process may have been a copy that has ended since. The original's log
// has that record, and one from before it ends earlier.
func (n *Node) behind(m ring.Member, c *claim) bool {
	r := c.ret
	if r == nil || r.Incarnation == m.Incarnation {
		return false
	}
	hasAll := n.everyMajorityNeedsMe() && r.Last >= n.applied
	unknown := !hasAll && unknownTo(r.Former, m.Incarnation) && !slices.Contains(r.Former, n.holder(m))
	return unknown || n.lead != nil && r.Term <= c.hadIn && r.Last < c.had
}

// acknowledged returns up to where a member has acknowledged this leader's log.
func (n *Node) acknowledged(id uint64) (match uint64) {
	if n.lead != nil {
		n.rn.WithProgress(func(p uint64, _ raft.ProgressType, pr tracker.Progress) {
			if p == id {
				match = pr.Match
			}
		})
	}
	return match
}

// claimed returns the claim of a process that was heard within a lease.
func (n *Node) claimed(id uint64) (*claim, bool) {
	c := n.peers.Value(id).claim
	return c, c != nil && n.now < c.heard.Add(n.ring.Settings.Lease()) && n.standsBy(id, c)
}

// standsBy reports whether a process may still claim to be the member, as far as is
// known: one that has ended does not, nor one that was refused, unless it speaks again
// after that. What it said before it was told may come later, so it is the next time
// that it would be told again that counts.
func (n *Node) standsBy(id uint64, c *claim) bool {
	return !n.ended(id, c.incarnation) && (c.refused == 0 || c.heard >= c.refused.Add(n.ring.Settings.RenewEvery()))
}

// spokenFor reports whether another process than the recorded one was heard
// within a lease, or since this leader last looked for the member.
func (n *Node) spokenFor(m ring.Member) bool {
	sign, ok := n.lastSign(m)
	if !ok || n.holder(m) == m.Incarnation && sign == n.peers.Value(m.ID).heard.at {
		return false
	}
	s := n.peers.Value(m.ID).suspect
	return n.now < sign.Add(n.ring.Settings.Lease()) || s != nil && s.confirmed && sign > s.probing
}

// lastSign returns when a process was last heard that is the member or may be it.
func (n *Node) lastSign(m ring.Member) (Instant, bool) {
	p := n.peers.Value(m.ID)
	if c := p.claim; c != nil && n.standsBy(m.ID, c) && !n.behind(m, c) {
		return max(p.heard.at, c.heard), true
	}
	return p.heard.at, p.heard.set
}

// heardGone returns when the holder of a member was last heard, or one that
// claimed to be the member and has ended since. One that still claims it says
// nothing for the holder.
func (n *Node) heardGone(id uint64) Instant {
	p := n.peers.Value(id)
	if c := p.claim; c != nil && n.ended(id, c.incarnation) {
		return max(p.heard.at, c.heard)
	}
	return p.heard.at
}

// question asks a process of a member, where it listens and nowhere else,
// whether it lives: another one speaks for the member, or it is the recorded one
// and speaks although it was taken for dead.
func (n *Node) question(m ring.Member, c *claim, incarnation uint64) {
	pause := n.ring.Settings.RenewEvery()
	if c.waiting {
		pause = 2 * n.probeTimeout()
	}
	if first := c.ret != nil && !c.knew && !c.waiting; n.now < c.asked.Add(pause) && !first {
		return
	}
	c.asked, c.waiting, c.knew = n.now, true, c.ret != nil
	m.Addresses, _ = n.livesAt(m, incarnation)
	m.Incarnation = incarnation
	n.trace("asks whether process %x of %s lives, since process %x speaks for it", m.Incarnation, m.Name, c.incarnation)
	p := n.probeOf(m)
	p.Recorded, p.Addresses = true, m.Addresses // there, and nowhere else
	n.emit(p)
}

// askWho asks a process that claims to be a member to announce itself: nobody lets
// it in before that. It does so unasked only while it knows that the ring has not recorded it.
func (n *Node) askWho(m ring.Member, c *claim) {
	if c.ret != nil || n.now < c.askedWho.Add(n.ring.Settings.RenewEvery()) {
		return
	}
	c.askedWho = n.now
	r := n.self()
	r.Ask = true
	n.send(Message{To: m.ID, Return: r})
}

// questioned takes the answer to a question. Silence proves nothing.
func (n *Node) questioned(r ProbeResult) {
	m := n.memberOrGone(r.ID)
	c := n.peers.Value(r.ID).claim
	if m.ID == 0 || c == nil {
		return
	}
	// A question may be asked again before an answer comes. An older one may have
	// been answered by a process that has ended since.
	newest := r.Asked >= c.asked
	if newest && r.Outcome == Answered && r.AnsweredBy == r.Incarnation && n.misjudged(m, r.Incarnation) {
		n.takeBack(m, r.Incarnation)
		return
	}
	if n.holder(m) != r.Incarnation || c.incarnation == r.Incarnation {
		return
	}
	where, known := n.livesAt(m, r.Incarnation)
	known = known && (len(r.Addresses) == 0 || slices.Equal(r.Addresses, where)) // else who is there says nothing of it
	// That it answers itself says the same, whichever claim made this member ask.
	itself := r.Outcome == Answered && r.AnsweredBy == c.incarnation
	if !(c.waiting && newest) && !itself {
		return
	}
	c.waiting = false
	p := n.peers.Ensure(m.ID)
	forgotten := n.restarted && p.holder == 0
	certified := p.ending(r.Incarnation).certified
	switch {
	case r.Outcome == Answered && r.AnsweredBy == r.Incarnation:
		p.holder = r.Incarnation
		n.refuseClaim(m, c, false)
	case p.heard.at > c.asked:
		// It lives, wherever its addresses lead.
	case known && r.Outcome == Answered && r.AnsweredAs == m.ID && !itself:
		// Two processes cannot listen at one address. So the holder has ended, and
		// the process that is there comes next.
		n.retire(m.ID, r.Incarnation, false)
	case (known || certified && n.follows(m.ID, c.incarnation, r.Incarnation)) && itself:
		// Where one that is certified dead was may not be known. The one that answers at
		// the recorded address was started from its directory.
		n.retire(m.ID, r.Incarnation, false)
		n.admit(m, c)
	case p.heard.set && n.now < p.heard.at.Add(n.ring.Settings.Lease()):
		// It may have moved, and this member has not heard where to.
	case known && (r.Outcome == Answered || r.Outcome == NobodyListens || r.Displaced):
		n.retire(m.ID, r.Incarnation, false)
		n.admit(m, c)
	case forgotten, n.everyMajorityNeedsMe():
		n.admit(m, c)
	default:
		n.doubt() // the ring may have recorded it
	}
}

// followLeader takes another member's word that it follows a process of the
// leader that the ring has recorded, or that the ring has recorded itself. The
// log says the same, but it may come from that very process alone.
func (n *Node) followLeader(s Standing) {
	m, ok := n.ring.Member(s.Leader)
	if !ok || !s.InTouch && s.From != s.Leader || s.Epoch <= n.ring.Epoch || m.ID == n.cfg.ID || s.LeaderIncarnation == 0 ||
		n.holder(m) == s.LeaderIncarnation || n.ended(m.ID, s.LeaderIncarnation) {
		return
	}
	if heard := n.peers.Value(m.ID).heard; heard.set && n.now < heard.at.Add(n.ring.Settings.Lease()) {
		return // the process that counts here speaks
	}
	if n.replacedInLog(m.ID, s.LeaderIncarnation) {
		return // perhaps by an entry that is newer than what was said
	}
	if n.follows(m.ID, n.holder(m), s.LeaderIncarnation) {
		return // that process has ended, and the one that counts here came after it
	}
	n.retire(m.ID, n.holder(m), false)
	n.takeOver(m, s.LeaderIncarnation)
	if len(s.LeaderAddresses) > 0 {
		n.peers.Ensure(m.ID).met = meeting{s.LeaderIncarnation, s.LeaderAddresses}
	}
}

// everyMajorityNeedsMe reports whether this member is one of two voters, or the only
// one. Then no two majorities can count two processes of another member. A change
// of the configuration in its log may be committed already: others would count by it.
func (n *Node) everyMajorityNeedsMe() bool {
	return len(n.conf.GetVoters()) <= 2 && len(n.conf.GetVotersOutgoing()) == 0 && n.isVoter(n.cfg.ID) && !n.confAhead()
}

// confAhead reports whether this member's log has a change of the voters, or something
// that cannot be read, after what is applied.
func (n *Node) confAhead() bool { return n.ahead(n.changesVoters) }

// promotedAhead reports the same of a change that makes this member a voter. A leader
// that knows that it is committed counts on it already.
func (n *Node) promotedAhead() bool {
	return n.ahead(func(e *raftpb.Entry) bool {
		if e.GetType() == raftpb.EntryNormal {
			return false
		}
		cc, err := confChangeOf(e)
		return err != nil || slices.ContainsFunc(cc.AsV2().GetChanges(), func(c *raftpb.ConfChangeSingle) bool {
			return c.GetType() == raftpb.ConfChangeAddNode && c.GetNodeId() == n.cfg.ID
		})
	})
}

// ahead reports whether an entry after what is applied is of a kind, or cannot be read.
func (n *Node) ahead(kind func(*raftpb.Entry) bool) bool {
	for i, last := n.applied+1, n.lastIndex(); i <= last; i++ {
		if e := n.entry(i); e == nil || kind(e) {
			return true
		}
	}
	return false
}

// changesVoters reports whether an entry changes who votes: one that only adds learners,
// or takes them out, leaves every majority as it is.
func (n *Node) changesVoters(e *raftpb.Entry) bool {
	if e.GetType() == raftpb.EntryNormal {
		return false
	}
	cc, err := confChangeOf(e)
	return err != nil || slices.ContainsFunc(cc.AsV2().GetChanges(), func(c *raftpb.ConfChangeSingle) bool {
		return c.GetType() == raftpb.ConfChangeAddNode || n.isVoter(c.GetNodeId())
	})
}

// admit lets the process that claims to be a member take its holder's place,
// unless what it announces speaks against it or is not known yet. An answer says
// where a process listens, and nothing of the disk that it was started from.
func (n *Node) admit(m ring.Member, c *claim) {
	if c.ret == nil {
		n.doubt() // it may not hear that it is asked, and the ring may have recorded it
		return
	}
	if n.behind(m, c) || n.ended(m.ID, c.incarnation) || n.replacedInLog(m.ID, c.incarnation) {
		return
	}
	n.takeOver(m, c.incarnation)
	n.proposeReturn(m)
	votes := c.votes
	c.votes = nil
	for _, v := range votes {
		n.rely(Message{From: m.ID, Incarnation: c.incarnation, Raft: v})
		n.receiveRaft(m.ID, v)
	}
}

// proposeReturn lets a leader record the process that speaks for a member.
// It reports whether there is one that was heard within a lease.
func (n *Node) proposeReturn(m ring.Member) bool {
	c, ok := n.claimed(m.ID)
	if !ok || n.behind(m, c) {
		return false
	}
	if c.ret != nil && n.mayRecord() && c.incarnation != m.Incarnation {
		n.proposeOnce(proposalKey{kind: "return", id: m.ID}, ring.Command{Return: &c.ret.Return})
	}
	return true
}
