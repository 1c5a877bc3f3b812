package election

import (
	"slices"
	"time"
)

// A leader whose lease has ended and that cannot renew it may have lost its
// majority. Those whom it still reaches must not stay bound to it, since the
// others may need their votes. So it falls silent: it releases the voters,
// sends no renewals, heartbeats or appends, and only asks for signs of life.
// When a majority answers, it renews again in the same term. When somebody
// asks for its vote first, it gives up its term.

// renewal keeps the lease alive, or ends the leadership.
type renewal struct {
	*leadership
	campaign  *campaign
	offers    *offers
	proposals *proposals
}

// lapse is the time in which a leader has no lease.
type lapse struct {
	// since is when the lease ended; 0 while it runs.
	since Instant
	// silent is when the leader fell silent; 0 if it did not.
	silent  Instant
	nextAsk Instant
	// until is when the lease must be back after a majority answered; 0 before.
	until Instant
}

// lapseRule follows the lease. It reports whether the leader may renew.
func (rw *renewal) lapseRule() bool {
	l := rw.lead
	s := rw.ring.Settings
	if rw.now < rw.lease.leaseEnd(rw.conf.GetVoters(), rw.conf.GetVotersOutgoing()) {
		rw.lease.lapse = lapse{}
		return true
	}
	if rw.lease.lapse.since == 0 {
		// A new leader has not had its first answers yet.
		if first := rw.lease.first.Add(s.Lease()); rw.lease.first == 0 || rw.now < first && !rw.lease.held {
			return true
		}
		rw.lease.lapse = lapse{since: rw.now}
	}
	if rw.lease.lapse.until != 0 {
		if rw.now < rw.lease.lapse.until {
			rw.wakeAt(rw.lease.lapse.until)
			return true
		}
		// A majority answers, but not in time for a lease.
		rw.stepAside()
		rw.offers.gaveUpAt = rw.now
		return false
	}
	if rw.lease.lapse.silent == 0 {
		// A short stop of this process or its network ends the lease, too. The
		// answers are on their way then.
		if end := rw.lease.lapse.since.Add(s.Stagger()); rw.now < end {
			rw.wakeAt(end)
			return true
		}
		rw.fallSilent()
	}
	if rw.roster.majorityHeardSince(rw.lease.lapse.silent) {
		rw.trace("a majority answers again")
		rw.lease.lapse = lapse{since: rw.now, until: rw.now.Add(s.Lease())}
		rw.lease.next, l.nextTick = rw.now, rw.now
		rw.wakeAt(rw.lease.lapse.until)
		return true
	}
	if rw.now >= rw.lease.lapse.nextAsk {
		rw.lease.lapse.nextAsk = rw.now.Add(s.RenewEvery() / 2)
		rw.askVoters()
	}
	rw.wakeAt(rw.lease.lapse.nextAsk)
	return false
}

// lostRule lets a leader that has not declared itself give up after a lease in which
// no majority answered it: those that it still reaches would wait for it. So it does
// if a majority answers and promises, but commits nothing, and somebody else may reach
// more voters. If their disks are slow, that helps nothing, so its patience grows with
// each time. Nobody reaches the certified dead. It reports whether it gave up.
func (rw *renewal) lostRule() bool {
	l, s := rw.lead, rw.ring.Settings
	if l.advanced == 0 || rw.commit > l.committed || rw.lastIndex() == rw.commit {
		l.advanced, l.committed = max(rw.now, 1), rw.commit
	}
	if rw.declared() {
		return false
	}
	lately := rw.now.Add(-s.Lease())
	voters := rw.conf.GetVoters()
	unheard := slices.ContainsFunc(voters, func(id uint64) bool {
		return !rw.roster.verdict(id).certified() && !rw.roster.heardSince(id, lately)
	})
	stalled := unheard && rw.now >= l.advanced.Add(s.Lease()<<min(rw.stalls, mostStalls))
	if rw.now < l.since.Add(s.Lease()) || !stalled && rw.roster.majorityHeardSince(lately) {
		return false // its heartbeats come back here
	}
	if stalled {
		rw.stalls++
	}
	rw.stepAside()
	return true
}

// mostStalls bounds how often the patience of lostRule doubles.
const mostStalls = 4

// fallSilent voids all promises that this leader was given.
func (rw *renewal) fallSilent() {
	rw.trace("falls silent: its lease ended, and too few voters answer")
	rw.lease.lapse.silent, rw.lease.lapse.nextAsk = rw.now, rw.now
	rw.lease.void()
}

// askVoters releases the voters that this leader still reaches and asks all of
// them for a sign of life. Either message may be lost, so both are repeated.
func (rw *renewal) askVoters() {
	for _, id := range rw.otherVoters() {
		rw.send(Message{To: id, Release: rw.release(true)})
		rw.send(Message{To: id, Check: &Check{}})
	}
}

// giveUp ends a leadership in raft, too, so that this member can vote, and releases those that have promised it something since it last did.
// Raft's leader steps down when no majority was active between two of its
// quorum checks; no message comes in here between them.
func (rw *renewal) giveUp() {
	rw.trace("gives up term %d", rw.term)
	rw.lease.void()
	for _, id := range rw.otherVoters() {
		rw.send(Message{To: id, Release: rw.release(true)})
	}
	rw.parent.follow(rw.depose())
	rw.roster.leaderHeard = rw.now.Add(-rw.patience())
}

// stepAside gives up and lets the others campaign first, since one of them may
// have a better network or disk. They begin half a renewal after the release.
func (rw *renewal) stepAside() {
	s := rw.ring.Settings
	rw.giveUp()
	rw.campaign.candidacy.yieldUntil = max(rw.campaign.candidacy.yieldUntil, rw.now.Add(s.RenewEvery()/2).Add(s.Stagger()*time.Duration(len(rw.conf.GetVoters()))))
}

// rule sends renewals every third of a lease, from the moment that this
// member proposes its declaration. A caretaker sends none: its voters must
// stay free to elect the heir.
func (rw *renewal) rule() {
	r := rw.lease
	if rw.lostRule() {
		return
	}
	if r.released || !rw.declared() && !rw.proposals.underWay(proposalKey{kind: "declare"}) {
		r.next = rw.now
		return
	}
	if !rw.lapseRule() {
		return
	}
	// A grant is replaced before it ends, out of turn if need be.
	want := rw.lease.wantedGrant(rw.declared())
	if rw.now < r.next && want == r.named {
		rw.wakeAt(r.next)
		return
	}
	if want != r.named {
		rw.trace("renewals name grant %d of watcher %d from now on", want.number, want.watcher)
		r.named, r.namedAt = want, rw.now
	}
	s := rw.ring.Settings
	r.next = rw.now.Add(s.RenewEvery())
	rw.wakeAt(r.next)
	others := rw.renewTargets()
	if len(others) == 0 {
		return
	}
	r.sending()
	_, _, claims := rw.claim(rw.now)
	renew := Renew{Claims: claims, Term: rw.term, Seq: r.seq, Incarnation: rw.cfg.Incarnation, Lease: s.Lease(), Watcher: r.named.watcher, Grant: r.named.number}
	for _, id := range others {
		c := renew
		if c.Acked = r.bonds.Value(id).seen; c.Acked == 0 && rw.roster.peers.Value(id).votedBy == rw.term {
			c.Acked = voteAck
		}
		rw.send(Message{To: id, Renew: &c})
		rw.roster.owe(id)
	}
}

// renewTargets returns whose promises the leader asks for: the other voters,
// and the learners that are to become voters, so that the claim does not lapse
// when they do.
func (rw *renewal) renewTargets() []uint64 {
	ids := rw.otherVoters()
	for _, id := range rw.wantedVoters() {
		if slices.Contains(rw.conf.GetLearners(), id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// bound reports whether a learner's promise lives by this leader's count. The
// first time that it does not, it is asked for at once.
func (rw *renewal) bound(id uint64) bool {
	r := rw.lease
	if rw.lease.released || !rw.declared() || rw.now < rw.lease.boundUntil(id) {
		return true
	}
	if f := r.bonds.Ensure(id); !f.asked && r.lapse.since == 0 {
		f.asked = true
		r.next = rw.now
		rw.rule()
	}
	return false
}

func (rw *renewal) renewAcked(from uint64, a RenewAck) {
	if !rw.leads() || a.Term != rw.lead.term || !rw.lease.takeAck(from, a) {
		return
	}
	rw.lease.held = rw.lease.held || rw.now < rw.lease.leaseEnd(rw.conf.GetVoters(), rw.conf.GetVotersOutgoing())
	rw.appendAgain(from)
}
