package election

import (
	"encoding/binary"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// lastClaim is what a member knows of the newest claim of anybody. Nothing is
// decided by it: it says in the history how long nobody led.
//
// Each voter knows this of its own promise alone, and may have been cut off from
// a leader that led on. So a vote carries what the voter knows. A leader that claimed
// had promises of a majority, and so had one of some voter of the majority that
// elects the next leader.
//
// A vote says how long ago something was, and is itself on its way for a while, or
// its voter stood still. The moment that it names lies between two that its reader
// knows: that age before the vote was asked for, and that age before it came. A proven
// claim is taken for as old as it can be, a possible one for as new.
//
// A vote carries what its voter has seen, and not what that one was told: two that
// told each other the same over and over would make it newer each time.
type lastClaim struct {
	// proven is the newest moment at which a leader is known to have claimed, in
	// provenTerm; 0 if no claim is known.
	proven     Instant
	provenTerm uint64
	// possible is the newest moment at which a leader can have claimed, in
	// possibleTerm.
	possible     Instant
	possibleTerm uint64
	// newest is the newest term of a leader that can have claimed until possible. Of a
	// voter that was restarted it is the term on its disk: it may have promised in a later
	// one, and then a gap may be said to be longer than it was.
	newest uint64
}

// merge takes what somebody else knows too.
func (c *lastClaim) merge(o lastClaim) {
	if o.provenTerm != 0 && (c.provenTerm == 0 || o.proven > c.proven) {
		c.proven, c.provenTerm = o.proven, o.provenTerm
	}
	if o.possible > c.possible {
		c.possible, c.possibleTerm = o.possible, o.possibleTerm
	}
	c.newest = max(c.newest, o.newest)
}

// claimPromised takes down that this member promised to a leader, which may
// claim by that promise until it ends; claims says that it claimed already, at shown
// or later.
func (n *Node) claimPromised(term uint64, until, shown Instant, claims bool) {
	c := &n.lastClaim
	if until >= c.possible || term > c.possibleTerm {
		c.possible, c.possibleTerm = until, term
	}
	c.newest = max(c.newest, term)
	if claims && (shown >= c.proven || c.provenTerm == 0) {
		c.proven, c.provenTerm = shown, term
	}
}

// claimPossibleWith takes down that another voter, which cannot say what it
// knew, may have promised to a leader until its process ended.
func (n *Node) claimPossibleWith(id uint64) {
	p := n.peers.Value(id)
	n.lastClaim.possible = max(n.lastClaim.possible, p.ending(p.cert.Incarnation).at)
}

// votersChanged takes down that a leader of a term changed the configuration. If
// that term is later than all claims that this member knows of, its vote may be one of
// a majority in which nobody has seen the last claim. That one was over when the
// leader was elected, and so it is now.
func (n *Node) votersChanged(term uint64) {
	if c := &n.lastClaim; n.lead == nil && term > c.possibleTerm {
		c.possible, c.newest = max(c.possible, n.now), max(c.newest, n.ring.Term)
	}
}

// claimVoided takes down that the promise that lived is void from now on. If the
// leader is known to have led until now, as by its own release or by a
// certificate that came while the promise lived, ended is true.
func (n *Node) claimVoided(term uint64, ended bool) {
	c := &n.lastClaim
	if term < c.possibleTerm || n.now > c.possible {
		return // it was over before
	}
	c.possible = n.now
	if ended && c.provenTerm == term && !n.voter.promise.old {
		c.proven = n.now
	}
}

// claimTold takes down that a leader told of its claim in the log. That is news
// only while a promise to it lives: entries come late to who was away. An
// interruption is told later, and its claim may have lapsed again.
func (n *Node) claimTold(term uint64) {
	if c := &n.lastClaim; term != n.ownTerm && term == c.possibleTerm && n.now <= c.possible && !n.voter.promise.old {
		c.proven, c.provenTerm = n.now, term
	}
}

// attachClaim lets a vote carry what this member has seen, as ages. The word with
// which a leader appoints another one carries all that it knows: a caretaker may have
// taken those out of the ring who have seen the last claim. Raft does not use the
// context of these.
func (n *Node) attachClaim(m *raftpb.Message) {
	switch m.GetType() {
	case raftpb.MsgVoteResp, raftpb.MsgTimeoutNow:
	default:
		return
	}
	if m.GetReject() || m.GetTo() == n.cfg.ID {
		return
	}
	c := n.lastClaim
	if m.GetType() == raftpb.MsgTimeoutNow {
		c = n.newestClaim()
	}
	age := func(t Instant) uint64 { return uint64(max(n.now.Sub(t), 0) / time.Microsecond) }
	b := binary.AppendUvarint(nil, c.provenTerm)
	b = binary.AppendUvarint(b, age(c.proven))
	b = binary.AppendUvarint(b, c.possibleTerm)
	b = binary.AppendUvarint(b, age(c.possible))
	m.Context = binary.AppendUvarint(b, c.newest)
}

// newestClaim is what this member has seen and what it was told by votes.
func (n *Node) newestClaim() lastClaim {
	c := n.lastClaim
	c.merge(n.toldClaim)
	return c
}

// learnClaim is the inverse of attachClaim. What does not decode is ignored: a
// vote counts without it.
func (n *Node) learnClaim(m *raftpb.Message) {
	b := m.GetContext()
	var v [5]uint64
	for i := range v {
		x, k := binary.Uvarint(b)
		if k <= 0 {
			return
		}
		v[i], b = x, b[k:]
	}
	asked, ok := n.askedFor(m)
	if !ok || v[0] > MaxTerm || v[2] > MaxTerm || v[4] > MaxTerm {
		return
	}
	before := func(t Instant, age uint64) Instant {
		return t.Add(-time.Duration(min(age, uint64(longestAge/time.Microsecond))) * time.Microsecond)
	}
	o := lastClaim{provenTerm: v[0], proven: before(asked, v[1]), possibleTerm: v[2], possible: before(n.now, v[3]), newest: v[4]}
	if o.provenTerm == n.ownTerm {
		o.provenTerm = 0
	}
	// A voter that was restarted names no term: it has forgotten to whom it had
	// promised.
	if o.possibleTerm != 0 && o.possibleTerm == n.ownTerm {
		o.possible, o.newest = 0, 0
	}
	n.toldClaim.merge(o)
}

// askedFor is the newest moment of which this member knows that m was made after it:
// when it asked for that vote, or answered that it is able to take over. It is
// false for a vote in a term that is over, which elects nobody.
func (n *Node) askedFor(m *raftpb.Message) (Instant, bool) {
	switch o := &n.offer; {
	case m.GetType() == raftpb.MsgVoteResp:
		return n.wished.at, n.wished.term == m.GetTerm()
	case o.ableAt != 0 && o.from == m.GetFrom() && o.term == m.GetTerm():
		return o.ableAt, true
	default:
		return n.now, true
	}
}

// longestAge bounds what a vote may say.
const longestAge = 10 * 365 * 24 * time.Hour

// measureGap says in a declaration how long nobody led.
func (n *Node) measureGap(d *ring.Declare) {
	n.lead.measured = n.now
	if len(n.ring.History) == 0 {
		return
	}
	c := n.newestClaim()
	known, certain := c.proven, c.possible
	if c.provenTerm == 0 {
		// A promise began a lease before it ended.
		certain = max(certain, n.born)
		known, d.GapAtLeast = max(n.born, certain.Add(-n.ring.Settings.Lease())), true
	}
	if l := &n.lead.loss; l.evidence == ring.Certified && l.token == c.provenTerm {
		// A voter that got the certificate later saw the leader lead for longer. It had
		// ended before anybody had it. It says nothing of a later leader.
		known = min(known, l.at)
		if c.newest <= l.token {
			certain = min(certain, l.at)
		}
	}
	d.Gap = max(n.now.Sub(known), 0).Microseconds()
	d.CertainGap = min(max(n.now.Sub(certain), 0).Microseconds(), d.Gap)
}

// ownLoss is why this member, which led last, does not any more.
func (n *Node) ownLoss() ring.Evidence {
	switch {
	case n.ownTerm == n.ring.Term && n.unanswered:
		return ring.Unanswered
	case n.ownTerm == 0 && n.restarted:
		return ring.BornAgain
	default:
		return ""
	}
}

// breaks are the interruptions of a leader's claim within its term that are not
// told yet.
type breaks struct {
	// since is when the claim ended that is not back yet, 0 if it is; and why.
	since    Instant
	why      string
	evidence ring.Evidence
	// told is what is to be told when tellAt comes; its Times is 0 if nothing.
	pending ring.Interruption
	tellAt  Instant
}

// breaksApart is how many leases lie between two tellings: a claim that comes and
// goes is told as one.
const breaksApart = 10

// claimEnded takes down when and why this member's claim ended, which it knows
// best.
func (n *Node) claimEnded(term uint64, end Instant, why string) {
	n.ownTerm = term
	n.lastClaim, n.toldClaim = lastClaim{proven: end, provenTerm: term, possible: end, possibleTerm: term, newest: term}, lastClaim{}
	if l := n.lead; l != nil {
		l.breaks = breaks{since: max(end, 1), why: why, pending: l.breaks.pending, tellAt: l.breaks.tellAt}
		if n.unanswered {
			l.breaks.evidence = ring.Unanswered
		}
	}
}

// claimRegained takes down that the claim is back in the same term.
func (n *Node) claimRegained() {
	l := n.lead
	if l == nil || l.breaks.since == 0 {
		return
	}
	gap := n.now.Sub(l.breaks.since).Microseconds()
	l.breaks.since = 0
	if gap <= 0 {
		return
	}
	// Voters hear at once that their acks make a claim: it may be this leader's last
	// one, and one of them then says since when nobody led.
	l.renewals.next = n.now
	n.wakeAt(n.now)
	p := &l.breaks.pending
	if p.Times == 0 {
		p.Since = n.cfg.Wall() - gap
		p.Why, p.Evidence = l.breaks.why, l.breaks.evidence
	}
	p.Times++
	p.Total += gap
	p.Gap = max(p.Gap, gap)
}

// breakTimers tells of interruptions, once the claim is back.
func (n *Node) breakTimers() {
	l := n.lead
	if l.breaks.pending.Times == 0 || l.handover != nil {
		return
	}
	if n.now < l.breaks.tellAt {
		n.wakeAt(l.breaks.tellAt)
		return
	}
	l.breaks.tellAt = n.now.Add(n.ring.Settings.RenewEvery())
	if _, _, claims := n.Claim(n.now); claims && n.propose(proposal{}, ring.Command{Interrupted: &ring.Interrupted{Term: n.term, Interruption: l.breaks.pending}}) {
		l.breaks.pending = ring.Interruption{}
		l.breaks.tellAt = n.now.Add(breaksApart * n.ring.Settings.Lease())
		return
	}
	n.wakeAt(l.breaks.tellAt)
}
