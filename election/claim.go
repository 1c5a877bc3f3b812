package election

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"

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
func (i *identity) noteClaim(m ring.Member, msg Message) *claim {
	p := i.roster.peers.Ensure(m.ID)
	if p.claim == nil {
		p.claim = &claim{asked: -Never / 2, askedWho: -Never / 2}
	}
	c := p.claim
	if c.incarnation != msg.Incarnation {
		c.incarnation, c.ret, c.votes = msg.Incarnation, nil, nil
		c.had, c.hadIn = i.acknowledged(m.ID), i.term
		// An answer on its way was for another claim, and so was what was told.
		c.waiting, c.refused = false, 0
	}
	c.heard = i.now
	if r := msg.Return; r != nil && r.ID == m.ID && r.Incarnation == msg.Incarnation {
		c.ret = r
	}
	if v := msg.Raft; slices.Contains(aboutVotes, v.GetType()) {
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
func (i *identity) behind(m ring.Member, c *claim) bool {
	r := c.ret
	if r == nil || r.Incarnation == m.Incarnation {
		return false
	}
	hasAll := i.everyMajorityNeedsMe() && r.Last >= i.applied
	unknown := !hasAll && unknownTo(r.Former, m.Incarnation) && !slices.Contains(r.Former, i.holder(m))
	return unknown || i.leads() && r.Term <= c.hadIn && r.Last < c.had
}

// claimed returns the claim of a process that was heard within a lease.
func (i *identity) claimed(id uint64) (*claim, bool) {
	c := i.roster.peers.Value(id).claim
	return c, c != nil && i.now < c.heard.Add(i.ring.Settings.Lease()) && i.standsBy(id, c)
}

// standsBy reports whether a process may still claim to be the member, as far as is
// known: one that has ended does not, nor one that was refused, unless it speaks again
// after that. What it said before it was told may come later, so it is the next time
// that it would be told again that counts.
func (i *identity) standsBy(id uint64, c *claim) bool {
	return !i.ended(id, c.incarnation) && (c.refused == 0 || c.heard >= c.refused.Add(i.ring.Settings.RenewEvery()))
}

// spokenFor reports whether another process than the recorded one was heard
// within a lease, or since this leader last looked for the member.
func (i *identity) spokenFor(m ring.Member) bool {
	sign, ok := i.lastSign(m)
	if !ok || i.holder(m) == m.Incarnation && sign == i.roster.peers.Value(m.ID).heard {
		return false
	}
	s := i.roster.peers.Value(m.ID).suspect
	return i.now < sign.Add(i.ring.Settings.Lease()) || s != nil && s.found != "" && sign > s.probing
}

// lastSign returns when a process was last heard that is the member or may be it.
func (i *identity) lastSign(m ring.Member) (Instant, bool) {
	p := i.roster.peers.Value(m.ID)
	if c := p.claim; c != nil && i.standsBy(m.ID, c) && !i.behind(m, c) {
		return max(p.heard, c.heard), true
	}
	return p.heard, p.heard != 0
}

// question asks a process of a member, where it listens and nowhere else,
// whether it lives: another one speaks for the member, or it is the recorded one
// and speaks although it was taken for dead.
func (i *identity) question(m ring.Member, c *claim, incarnation uint64) {
	pause := i.ring.Settings.RenewEvery()
	if c.waiting {
		pause = 2 * i.probeTimeout()
	}
	if first := c.ret != nil && !c.knew && !c.waiting; i.now < c.asked.Add(pause) && !first {
		return
	}
	c.asked, c.waiting, c.knew = i.now, true, c.ret != nil
	m.Addresses, _ = i.livesAt(m, incarnation)
	m.Incarnation = incarnation
	i.trace("asks whether process %d of %s lives, since process %d speaks for it", m.Incarnation, m.Name, c.incarnation)
	p := i.probeOf(m)
	p.Recorded, p.Addresses = true, m.Addresses // there, and nowhere else
	i.emit(p)
}

// askWho asks a process that claims to be a member to announce itself: nobody lets
// it in before that. It does so unasked only while it knows that the ring has not recorded it.
func (i *identity) askWho(m ring.Member, c *claim) {
	if c.ret != nil || i.now < c.askedWho.Add(i.ring.Settings.RenewEvery()) {
		return
	}
	c.askedWho = i.now
	r := i.self()
	r.Ask = true
	i.send(Message{To: m.ID, Return: r})
}

// questioned takes the answer to a question. Silence proves nothing. It returns the
// votes that count now, of a process that was let in, and whether to ask the others
// what they know.
func (i *identity) questioned(r ProbeResult) (votes []*raftpb.Message, doubt bool) {
	m := i.memberOrGone(r.Of.ID)
	c := i.roster.peers.Value(r.Of.ID).claim
	if m.ID == 0 || c == nil {
		return nil, false
	}
	// A question may be asked again before an answer comes. An older one may have
	// been answered by a process that has ended since.
	newest := r.Of.Asked >= c.asked
	if newest && r.Outcome == Answered && r.AnsweredBy == r.Of.Incarnation && i.misjudged(m, r.Of.Incarnation) {
		i.roster.peers.Ensure(m.ID).ended.Delete(r.Of.Incarnation) // it was taken for dead
		i.takeOver(m, r.Of.Incarnation)
		return nil, false
	}
	// That it answers itself says the same, whichever claim made this member ask.
	itself := r.Outcome == Answered && r.AnsweredBy == c.incarnation
	if i.holder(m) != r.Of.Incarnation || c.incarnation == r.Of.Incarnation || !(c.waiting && newest) && !itself {
		return nil, false
	}
	where, known := i.livesAt(m, r.Of.Incarnation)
	known = known && (len(r.Of.Addresses) == 0 || slices.Equal(r.Of.Addresses, where)) // else who is there says nothing of it
	c.waiting = false
	p := i.roster.peers.Ensure(m.ID)
	forgotten := i.restarted && p.holder == 0
	certified := p.ended.Value(r.Of.Incarnation).certified
	switch {
	case r.Outcome == Answered && r.AnsweredBy == r.Of.Incarnation:
		p.holder = r.Of.Incarnation
		i.refuseClaim(m, c, false)
	case p.heard > c.asked:
		// It lives, wherever its addresses lead.
	case known && r.Outcome == Answered && r.AnsweredAs == m.ID && !itself:
		// Two processes cannot listen at one address. So the holder has ended, and
		// the process that is there comes next.
		i.retire(m.ID, r.Of.Incarnation, false)
	case (known || certified && i.follows(m.ID, c.incarnation, r.Of.Incarnation)) && itself:
		// Where one that is certified dead was may not be known. The one that answers at
		// the recorded address was started from its directory.
		i.retire(m.ID, r.Of.Incarnation, false)
		return i.admit(m, c)
	case p.heard != 0 && i.now < p.heard.Add(i.ring.Settings.Lease()):
		// It may have moved, and this member has not heard where to.
	case known && (r.Outcome == Answered || r.Outcome == NobodyListens || r.Displaced):
		i.retire(m.ID, r.Of.Incarnation, false)
		return i.admit(m, c)
	case forgotten, i.everyMajorityNeedsMe():
		return i.admit(m, c)
	default:
		return nil, true // the ring may have recorded it
	}
	return nil, false
}

// followLeader takes another member's word that it follows a process of the
// leader that the ring has recorded, or that the ring has recorded itself. The
// log says the same, but it may come from that very process alone.
func (i *identity) followLeader(s Standing) {
	m, ok := i.ring.Member(s.Leader)
	if !ok || !s.InTouch && s.From != s.Leader || s.Epoch <= i.ring.Epoch || m.ID == i.cfg.ID || s.LeaderIncarnation == 0 ||
		i.holder(m) == s.LeaderIncarnation || i.ended(m.ID, s.LeaderIncarnation) {
		return
	}
	if heard := i.roster.peers.Value(m.ID).heard; heard != 0 && i.now < heard.Add(i.ring.Settings.Lease()) {
		return // the process that counts here speaks
	}
	// It may be replaced by an entry that is newer than what was said. Or it has ended, and
	// the one that counts here came after it.
	if i.replacedInLog(m.ID, s.LeaderIncarnation) || i.follows(m.ID, i.holder(m), s.LeaderIncarnation) {
		return
	}
	i.retire(m.ID, i.holder(m), false)
	i.takeOver(m, s.LeaderIncarnation)
	if len(s.LeaderAddresses) > 0 {
		i.roster.peers.Ensure(m.ID).met = meeting{s.LeaderIncarnation, s.LeaderAddresses}
	}
}

// admit lets the process that claims to be a member take its holder's place,
// unless what it announces speaks against it or is not known yet. An answer says
// where a process listens, and nothing of the disk that it was started from.
func (i *identity) admit(m ring.Member, c *claim) (votes []*raftpb.Message, doubt bool) {
	if c.ret == nil {
		return nil, true // it may not hear that it is asked, and the ring may have recorded it
	}
	if i.behind(m, c) || i.ended(m.ID, c.incarnation) || i.replacedInLog(m.ID, c.incarnation) {
		return nil, false
	}
	i.takeOver(m, c.incarnation)
	i.proposeReturn(m)
	votes, c.votes = c.votes, nil
	for _, v := range votes {
		i.rely(Message{From: m.ID, Incarnation: c.incarnation, Raft: v})
	}
	return votes, false
}

// proposeReturn lets a leader record the process that speaks for a member.
// It reports whether there is one that was heard within a lease.
func (i *identity) proposeReturn(m ring.Member) bool {
	c, ok := i.claimed(m.ID)
	if !ok || i.behind(m, c) {
		return false
	}
	if c.ret != nil && i.mayRecord() && c.incarnation != m.Incarnation {
		i.proposals.proposeOnce(proposalKey{kind: "return", id: m.ID}, ring.Command{Return: &c.ret.Return})
	}
	return true
}
