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
func (ld *leader) lapseRule() bool {
	l := ld.lead
	s := ld.ring.Settings
	if ld.now < ld.lease.leaseEnd(ld.conf.GetVoters(), ld.conf.GetVotersOutgoing()) {
		ld.lease.lapse = lapse{}
		return true
	}
	if ld.lease.lapse.since == 0 {
		// A new leader has not had its first answers yet.
		if first := ld.lease.first.Add(s.Lease()); ld.lease.first == 0 || ld.now < first && !ld.lease.held {
			return true
		}
		ld.lease.lapse = lapse{since: ld.now}
	}
	if ld.lease.lapse.until != 0 {
		if ld.before(ld.lease.lapse.until) {
			return true
		}
		// A majority answers, but not in time for a lease.
		ld.stepAside()
		ld.offers.gaveUpAt = ld.now
		return false
	}
	if ld.lease.lapse.silent == 0 {
		// A short stop of this process or its network ends the lease, too. The
		// answers are on their way then.
		if ld.before(ld.lease.lapse.since.Add(s.Stagger())) {
			return true
		}
		ld.fallSilent()
	}
	if ld.roster.majorityHeardSince(ld.lease.lapse.silent) {
		ld.trace("a majority answers again")
		ld.lease.lapse = lapse{since: ld.now, until: ld.now.Add(s.Lease())}
		ld.lease.next, l.nextTick = ld.now, ld.now
		ld.wakeAt(ld.lease.lapse.until)
		return true
	}
	if ld.dueEvery(&ld.lease.lapse.nextAsk, s.RenewEvery()/2) {
		ld.askVoters()
	}
	return false
}

// lostRule lets a leader that has not declared itself give up after a lease in which
// no majority answered it: those that it still reaches would wait for it. So it does
// if a majority answers and promises, but commits nothing, and somebody else may reach
// more voters. If their disks are slow, that helps nothing, so its patience grows with
// each time. Nobody reaches the certified dead. It reports whether it gave up.
func (ld *leader) lostRule() bool {
	l, s := ld.lead, ld.ring.Settings
	if l.advanced == 0 || ld.commit > l.committed || ld.lastIndex() == ld.commit {
		l.advanced, l.committed = ld.now, ld.commit
	}
	if ld.declared() {
		return false
	}
	lately := ld.now.Add(-s.Lease())
	voters := ld.conf.GetVoters()
	unheard := slices.ContainsFunc(voters, func(id uint64) bool {
		return !ld.roster.verdict(id).certified() && !ld.roster.heardSince(id, lately)
	})
	stalled := unheard && ld.now >= l.advanced.Add(s.Lease()<<min(ld.stalls, mostStalls))
	if ld.now < l.since.Add(s.Lease()) || !stalled && ld.roster.majorityHeardSince(lately) {
		return false // its heartbeats come back here
	}
	if stalled {
		ld.stalls++
	}
	ld.stepAside()
	return true
}

// mostStalls bounds how often the patience of lostRule doubles.
const mostStalls = 4

// fallSilent voids all promises that this leader was given.
func (ld *leader) fallSilent() {
	ld.trace("falls silent: its lease ended, and too few voters answer")
	ld.lease.lapse.silent, ld.lease.lapse.nextAsk = ld.now, ld.now
	ld.lease.void()
}

// askVoters releases the voters that this leader still reaches and asks all of
// them for a sign of life. Either message may be lost, so both are repeated.
func (ld *leader) askVoters() {
	for _, id := range ld.otherVoters() {
		ld.send(Message{To: id, Release: ld.release(true)})
		ld.send(Message{To: id, Check: &Check{}})
	}
}

// giveUp ends a leadership in raft, too, so that this member can vote. It releases those
// that have promised it something.
func (ld *leader) giveUp() {
	ld.trace("gives up term %d", ld.term)
	ld.releaseVoters(true)
	ld.parent.follow(ld.depose())
	ld.roster.leaderHeard = ld.now.Add(-ld.patience())
}

// stepAside gives up and lets the others campaign first, since one of them may
// have a better network or disk. They begin half a renewal after the release.
func (ld *leader) stepAside() {
	s := ld.ring.Settings
	ld.giveUp()
	ld.campaign.candidacy.yieldUntil = max(ld.campaign.candidacy.yieldUntil, ld.now.Add(s.RenewEvery()/2).Add(s.Stagger()*time.Duration(len(ld.conf.GetVoters()))))
}

// renewRule sends renewals every third of a lease, from the moment that this
// member proposes its declaration. A caretaker sends none: its voters must
// stay free to elect the heir.
func (ld *leader) renewRule() {
	r := ld.lease
	if ld.lostRule() {
		return
	}
	if r.released || !ld.declared() && !ld.proposals.underWay(proposalKey{kind: "declare"}) {
		r.next = ld.now
		return
	}
	if !ld.lapseRule() {
		return
	}
	// A grant is replaced before it ends, out of turn if need be.
	want := ld.lease.wantedGrant(ld.declared())
	if want == r.named && ld.before(r.next) {
		return
	}
	if want != r.named {
		ld.trace("renewals name grant %d of watcher %d from now on", want.number, want.watcher)
		r.named, r.namedAt = want, ld.now
	}
	s := ld.ring.Settings
	r.next = ld.now.Add(s.RenewEvery())
	ld.wakeAt(r.next)
	others := ld.renewTargets()
	if len(others) == 0 {
		return
	}
	r.sending()
	renew := Renew{Claims: ld.claim(ld.now) != 0, Term: ld.term, Seq: r.seq, Incarnation: ld.cfg.Incarnation, Lease: s.Lease(), Watcher: r.named.watcher, Grant: r.named.number}
	for _, id := range others {
		c := renew
		if c.Acked = r.bonds.Value(id).seen; c.Acked == 0 && ld.roster.peers.Value(id).votedBy == ld.term {
			c.Acked = voteAck
		}
		ld.send(Message{To: id, Renew: &c})
		ld.roster.owe(id)
	}
}

// renewTargets returns whose promises the leader asks for: the other voters,
// and the learners that are to become voters, so that the claim does not lapse
// when they do.
func (ld *leader) renewTargets() []uint64 {
	promoted := only(ld.wantedVoters(), func(id uint64) bool { return slices.Contains(ld.conf.GetLearners(), id) })
	return append(ld.otherVoters(), promoted...)
}

// bound reports whether a learner's promise lives by this leader's count. The
// first time that it does not, it is asked for at once.
func (ld *leader) bound(id uint64) bool {
	r := ld.lease
	if ld.lease.released || !ld.declared() || ld.now < ld.lease.boundUntil(id) {
		return true
	}
	if f := r.bonds.Ensure(id); !f.asked && r.lapse.since == 0 {
		f.asked = true
		r.next = ld.now
		ld.renewRule()
	}
	return false
}

func (ld *leader) renewAcked(from uint64, a RenewAck) {
	if !ld.leads() || a.Term != ld.term || !ld.lease.takeAck(from, a) {
		return
	}
	ld.lease.held = ld.lease.held || ld.now < ld.lease.leaseEnd(ld.conf.GetVoters(), ld.conf.GetVotersOutgoing())
	ld.appendAgain(from)
}
