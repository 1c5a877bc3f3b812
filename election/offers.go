package election

import (
	"cmp"
	"slices"
	"time"
)

// A leader that gives its term away to a member that cannot win leaves the
// ring without a leader. So a caretaker, and the leader in a planned handover,
// first asks the member whether it could lead now. The member asks the voters
// for a sign of life. When a majority has answered and its own disk is not
// stuck, it answers that it is able. This is asked before the claim is given
// up, so a handover's gap is no longer for it.

// Takeover asks a member whether it could lead now, or answers that.
type Takeover struct {
	// Term is raft's term in which the asker leads.
	Term   uint64
	Answer bool
	// Able: a majority of the voters has answered the member since it was asked.
	Able bool
	// Reached is how many voters the member reaches, itself and the asker
	// among them; Stuck that its disk does not finish a write.
	Reached int
	Stuck   bool
	// Lapsed: it led a moment ago and could not keep a lease.
	Lapsed bool
}

// offer is what a member was asked last.
type offer struct {
	from, term uint64
	since      Instant // when it began to look
	at         Instant // of the newest question
	open       bool    // not yet answered that it is able
	ableAt     Instant // when it first answered that asker in that term that it is able; 0 if it did not
}

// offers says whether this member could lead.
type offers struct {
	*roster
	// offer is the newest question whether this member could lead.
	offer offer
	// gaveUpAt is when this member last gave a leadership up for want of a lease.
	gaveUpAt Instant
}

// offerLasts is how long an offer is taken for the same one.
func (of *offers) offerLasts() time.Duration { return of.ring.Settings.Lease() }

// takeoverOffered begins to find out whether this member could lead.
func (of *offers) takeoverOffered(from uint64, t Takeover) {
	if t.Term != of.term || of.raftLead != from || of.leads() {
		return
	}
	if o := of.offer; o.from != from || o.term != t.Term || of.now >= o.at.Add(of.offerLasts()) {
		of.offer = offer{from: from, term: t.Term, since: of.now}
		if o.from == from && o.term == t.Term {
			of.offer.ableAt = o.ableAt
		}
	}
	of.offer.at, of.offer.open = of.now, true
	for _, id := range of.otherVoters() {
		if of.roster.peers.Value(id).heard <= of.offer.since && id != from {
			of.roster.check(id)
		}
	}
	if !of.offerRule() {
		of.send(Message{To: from, Takeover: of.takeoverAnswer()})
	}
}

// offerRule answers an offer once this member is able. It reports whether the
// offer is answered.
func (of *offers) offerRule() bool {
	if !of.offer.open {
		return true
	}
	a := of.takeoverAnswer()
	if !a.Able {
		return false
	}
	of.offer.open = false
	of.offer.ableAt = cmp.Or(of.offer.ableAt, of.now) // the word to take over may be older than a question that was read late
	of.send(Message{To: of.offer.from, Takeover: a})
	return true
}

// takeoverAnswer is what this member can say of its ability now.
func (of *offers) takeoverAnswer() *Takeover {
	o := of.offer
	others := slices.ContainsFunc(of.ring.Succession(of.cfg.ID), of.roster.thoughtAlive)
	// The asker has just been heard.
	reached := func(id uint64) bool { return id == o.from || of.roster.heardSince(id, o.since) }
	a := &Takeover{Term: o.term, Answer: true, Reached: count(of.conf.GetVoters(), reached), Stuck: of.stuck(), Lapsed: others && of.lapsedLately()}
	a.Able = !a.Stuck && !a.Lapsed && of.majority(reached)
	return a
}

// declines reports whether the member could lead, but leaves that to others since it
// could not keep a lease a moment ago.
func (t *takeover) declines(voters int) bool {
	a := t.answer
	return a != nil && a.Lapsed && !a.Stuck && a.Reached > voters/2
}

// lapsedLately reports whether this member led a moment ago and could not keep
// a lease although a majority answered it. If somebody else may lead, that one is
// to try.
func (of *offers) lapsedLately() bool {
	return of.gaveUpAt != 0 && of.now < of.gaveUpAt.Add(8*of.ring.Settings.Lease())
}
