package election

import (
	"encoding/binary"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/internal/durations"
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
func (r *recorder) claimPromised(term uint64, until, shown Instant, claims bool) {
	c := &r.lastClaim
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
func (r *recorder) claimPossibleWith(id uint64) {
	p := r.roster.peers.Value(id)
	r.lastClaim.possible = max(r.lastClaim.possible, p.ended.Value(p.cert.Incarnation).at)
}

// votersChanged takes down that a leader of a term changed the configuration. If
// that term is later than all claims that this member knows of, its vote may be one of
// a majority in which nobody has seen the last claim. That one was over when the
// leader was elected, and so it is now.
func (r *recorder) votersChanged(term uint64) {
	if c := &r.lastClaim; !r.leads() && term > c.possibleTerm {
		c.possible, c.newest = max(c.possible, r.now), max(c.newest, r.ring.Term)
	}
}

// claimVoided takes down that the promise that lived is void from now on. If the
// leader is known to have led until now, as by its own release or by a
// certificate that came while the promise lived, ended is true.
func (r *recorder) claimVoided(term uint64, ended bool) {
	c := &r.lastClaim
	if term < c.possibleTerm || r.now > c.possible {
		return // it was over before
	}
	c.possible = r.now
	if ended && c.provenTerm == term && !r.promises.promise.old {
		c.proven = r.now
	}
}

// claimTold takes down that a leader told of its claim in the log. That is news
// only while a promise to it lives: entries come late to who was away. An
// interruption is told later, and its claim may have lapsed again.
func (r *recorder) claimTold(term uint64) {
	if c := &r.lastClaim; term != r.ownTerm && term == c.possibleTerm && r.now <= c.possible && !r.promises.promise.old {
		c.proven, c.provenTerm = r.now, term
	}
}

// attachClaim lets a vote carry what this member has seen, as ages. The word with
// which a leader appoints another one carries all that it knows: a caretaker may have
// taken those out of the ring who have seen the last claim. Raft does not use the
// context of these.
func (r *recorder) attachClaim(m *raftpb.Message) {
	c, appoints := r.lastClaim, m.GetType() == raftpb.MsgTimeoutNow
	if m.GetType() != raftpb.MsgVoteResp && !appoints || m.GetReject() || m.GetTo() == r.cfg.ID {
		return
	}
	if appoints {
		c = r.newestClaim()
	}
	age := func(t Instant) uint64 { return uint64(max(r.now.Sub(t), 0) / time.Microsecond) }
	m.Context = nil
	for _, v := range []uint64{c.provenTerm, age(c.proven), c.possibleTerm, age(c.possible), c.newest} {
		m.Context = binary.AppendUvarint(m.Context, v)
	}
}

// newestClaim is what this member has seen and what it was told by votes.
func (r *recorder) newestClaim() lastClaim {
	c := r.lastClaim
	c.merge(r.toldClaim)
	return c
}

// learnClaim is the inverse of attachClaim. What does not decode is ignored: a
// vote counts without it.
func (r *recorder) learnClaim(m *raftpb.Message) {
	b := m.GetContext()
	var v [5]uint64
	for i := range v {
		x, k := binary.Uvarint(b)
		if k <= 0 {
			return
		}
		v[i], b = x, b[k:]
	}
	asked, ok := r.askedFor(m)
	if !ok || v[0] > MaxTerm || v[2] > MaxTerm || v[4] > MaxTerm {
		return
	}
	before := func(t Instant, age uint64) Instant {
		return t.Add(-time.Duration(min(age, uint64(durations.LongestAge/time.Microsecond))) * time.Microsecond)
	}
	o := lastClaim{provenTerm: v[0], proven: before(asked, v[1]), possibleTerm: v[2], possible: before(r.now, v[3]), newest: v[4]}
	if o.provenTerm == r.ownTerm {
		o.provenTerm = 0
	}
	// A voter that was restarted names no term: it has forgotten to whom it had
	// promised.
	if o.possibleTerm != 0 && o.possibleTerm == r.ownTerm {
		o.possible, o.newest = 0, 0
	}
	r.toldClaim.merge(o)
}

// askedFor is the newest moment of which this member knows that m was made after it:
// when it asked for that vote, or answered that it is able to take over. It is
// false for a vote in a term that is over, which elects nobody.
func (r *recorder) askedFor(m *raftpb.Message) (Instant, bool) {
	switch o := &r.offers.offer; {
	case m.GetType() == raftpb.MsgVoteResp:
		return r.campaign.wishedAt, r.campaign.wishedTerm == m.GetTerm()
	case o.ableAt != 0 && o.from == m.GetFrom() && o.term == m.GetTerm():
		return o.ableAt, true
	default:
		return r.now, true
	}
}

// measureGap says in a declaration how long nobody led.
func (r *recorder) measureGap(d *ring.Declare) {
	r.measured = r.now
	if len(r.ring.History) == 0 {
		return
	}
	c := r.newestClaim()
	known, certain := c.proven, c.possible
	if c.provenTerm == 0 {
		// A promise began a lease before it ended.
		certain = max(certain, r.born)
		known, d.GapAtLeast = max(r.born, certain.Add(-r.ring.Settings.Lease())), true
	}
	if l := &r.led; l.evidence == ring.Certified && l.token == c.provenTerm {
		// A voter that got the certificate later saw the leader lead for longer. It had
		// ended before anybody had it. It says nothing of a later leader.
		known = min(known, l.at)
		if c.newest <= l.token {
			certain = min(certain, l.at)
		}
	}
	d.Gap = max(r.now.Sub(known), 0).Microseconds()
	d.CertainGap = min(max(r.now.Sub(certain), 0).Microseconds(), d.Gap)
}

// ownLoss is why this member, which led last, does not any more.
func (r *recorder) ownLoss() ring.Evidence {
	switch {
	case r.ownTerm == r.ring.Term && r.unanswered:
		return ring.Unanswered
	case r.ownTerm == 0 && r.restarted:
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
func (r *recorder) claimEnded(term uint64, end Instant, why string) {
	r.ownTerm = term
	r.lastClaim, r.toldClaim = lastClaim{proven: end, provenTerm: term, possible: end, possibleTerm: term, newest: term}, lastClaim{}
	r.breaks = breaks{since: max(end, 1), why: why, pending: r.breaks.pending, tellAt: r.breaks.tellAt}
	if r.unanswered {
		r.breaks.evidence = ring.Unanswered
	}
}

// claimRegained takes down that the claim is back in the same term. It reports whether
// the claim had been away.
func (r *recorder) claimRegained() bool {
	b := &r.breaks
	if b.since == 0 {
		return false
	}
	gap := r.now.Sub(b.since).Microseconds()
	b.since = 0
	if gap <= 0 {
		return false
	}
	p := &b.pending
	if p.Times == 0 {
		p.Since = r.cfg.Wall() - gap
		p.Why, p.Evidence = b.why, b.evidence
	}
	p.Times++
	p.Total += gap
	p.Gap = max(p.Gap, gap)
	return true
}
