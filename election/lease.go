package election

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// renewals is the leader's side of the promises: what was sent, and for how
// long each voter's ack binds that voter.
type renewals struct {
	seq  uint64
	next Instant
	sent [64]sentRenewal // by seq modulo its length
	// named is the grant that the newest renewal names, since namedAt.
	named   grantKey
	namedAt Instant
	// ignoreUpTo: acks of renewals that were released do not count.
	ignoreUpTo uint64
	// first is when the first renewal was sent; held is true once a majority
	// promised.
	first Instant
	held  bool
}

// voidPromises ends all promises that were given until now.
func (l *leading) voidPromises() {
	l.renewals.ignoreUpTo = l.renewals.seq
	for _, f := range l.followers.All() {
		f.acked = ackedRenewal{}
	}
}

type sentRenewal struct {
	seq   uint64
	until Instant
	lease time.Duration // what it asks for
	named grantKey
}

// ackedRenewal is a voter's newest ack: until when it is bound, counted from
// the sending.
type ackedRenewal struct {
	seq   uint64
	until Instant
}

// renewTimers sends renewals every third of a lease, from the moment that this
// member proposes its declaration. A caretaker sends none: its voters must
// stay free to elect the heir.
func (n *Node) renewTimers() {
	l := n.lead
	r := &l.renewals
	if n.lostRule() {
		return
	}
	if l.released || !n.declared() && l.inFlight[proposalKey{kind: "declare"}] == 0 {
		r.next = n.now
		return
	}
	if !n.lapseRule() {
		return
	}
	// A grant is replaced before it ends, out of turn if need be.
	want := n.wantedGrant()
	if n.now < r.next && want == r.named {
		n.wakeAt(r.next)
		return
	}
	if want != r.named {
		n.trace("renewals name grant %d of watcher %d from now on", want.number, want.watcher)
		r.named, r.namedAt = want, n.now
	}
	s := n.ring.Settings
	r.next = n.now.Add(s.RenewEvery())
	n.wakeAt(r.next)
	others := n.renewTargets()
	if len(others) == 0 {
		return
	}
	if r.first == 0 {
		r.first = n.now
	}
	r.seq++
	r.sent[r.seq%uint64(len(r.sent))] = sentRenewal{seq: r.seq, until: n.now.Add(s.LeaderLease()), lease: s.Lease(), named: r.named}
	_, _, claims := n.Claim(n.now)
	renew := Renew{Claims: claims, Term: n.term, Seq: r.seq, Incarnation: n.cfg.Incarnation, Lease: s.Lease(), Watcher: r.named.watcher, Grant: r.named.number}
	for _, id := range others {
		c := renew
		if c.Acked = l.followers.Value(id).seen; c.Acked == 0 && n.peers.Value(id).votedBy == n.term {
			c.Acked = voteAck
		}
		n.send(Message{To: id, Renew: &c})
		n.owe(id)
	}
}

// renewTargets returns whose promises the leader asks for: the other voters,
// and the learners that are to become voters, so that the claim does not lapse
// when they do.
func (n *Node) renewTargets() []uint64 {
	ids := n.otherVoters()
	for _, id := range n.wantedVoters() {
		if slices.Contains(n.conf.GetLearners(), id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// bound tells whether a learner's promise lives by this leader's count. The
// first time that it does not, it is asked for at once.
func (n *Node) bound(id uint64) bool {
	r := &n.lead.renewals
	if n.lead.released || !n.declared() || n.now < n.boundUntil(id) {
		return true
	}
	if f := n.lead.followers.Ensure(id); !f.asked && n.lead.lapse.since == 0 {
		f.asked = true
		r.next = n.now
		n.renewTimers()
	}
	return false
}

func (n *Node) renewAcked(from uint64, a RenewAck) {
	l := n.lead
	if l == nil || a.Term != l.term {
		return
	}
	r := &l.renewals
	s := r.sent[a.Seq%uint64(len(r.sent))]
	if s.seq != a.Seq || a.Seq <= r.ignoreUpTo {
		return
	}
	f := l.followers.Ensure(from)
	if a.Seq <= f.acked.seq {
		return // an older ack, overtaken
	}
	f.seen = a.Seq
	if a.Lease > 0 && a.Lease < s.lease {
		s.until = s.until.Add(a.Lease - s.lease) // the voter knows a shorter lease
	}
	// The newest renewal alone counts, even where an older one had a longer
	// lease. A grant that was named in between may have ended the older promise,
	// and boundUntil looks at grants from the newest acked renewal on.
	f.acked = ackedRenewal{a.Seq, s.until}
	r.held = r.held || n.now < n.leaseEnd()
	n.appendAgain(from)
}

// appendAgain lets raft send again what a member has not acknowledged, although it
// acks renewals: the append or its answer may be lost. Raft would do that after the
// answer to a heartbeat, and a declared leader sends one in a lease. Where messages are
// lost, an entry would wait for several leases.
func (n *Node) appendAgain(to uint64) {
	if n.now >= n.lead.advanced.Add(n.ring.Settings.RenewEvery()) && n.acknowledged(to) < n.lastIndex() {
		n.stepRaft(&raftpb.Message{Type: raftpb.MsgHeartbeatResp.Enum(), From: new(to), To: new(n.cfg.ID), Term: new(n.term)})
	}
}

// leaseEnd is when the leader must have stopped acting: the latest time up to
// which a majority of the configuration (of each half while it is joint) is
// bound. The leader itself is bound while it leads. Any later leader needs a
// majority that is free, and majorities of neighbouring configurations meet.
func (n *Node) leaseEnd() Instant {
	end := n.majorityUntil(n.conf.GetVoters())
	if out := n.conf.GetVotersOutgoing(); len(out) > 0 {
		end = min(end, n.majorityUntil(out))
	}
	return end
}

func (n *Node) majorityUntil(voters []uint64) Instant {
	var buf [16]Instant
	until := buf[:0]
	for _, id := range voters {
		if id == n.cfg.ID {
			until = append(until, Never)
		} else {
			until = append(until, n.boundUntil(id))
		}
	}
	if len(until) == 0 {
		return 0
	}
	slices.Sort(until)
	return until[(len(until)-1)/2] // so many and all later ones are a majority
}

// updateClaim reports gained and lost claims, and wakes at the lease's end.
func (n *Node) updateClaim() {
	term, end := n.ClaimUntil()
	claiming := term != 0 && n.now < end
	if claiming && end != Never {
		n.wakeAt(end)
	}
	if claiming {
		n.claimTerm, n.claimEnd = term, end
	}
	if claiming == n.claiming {
		return
	}
	n.claiming = claiming
	c := ClaimChanged{Claiming: claiming, Term: n.ring.Term}
	switch {
	case claiming:
		c.Phases = n.firstClaim()
		c.Why = "declared, and a majority promised"
		n.unanswered = false
		n.claimRegained()
	case n.lead != nil && n.lead.released:
		c.Why = "handing over"
		n.unanswered = false
	case n.lead == nil:
		c.Why = "no longer raft's leader"
	default:
		c.Why = "the lease ran out: too few voters answer"
		n.unanswered = true
	}
	if !claiming {
		n.claimEnded(n.claimTerm, min(n.claimEnd, n.now), c.Why)
	}
	n.reportClaim(c)
}

// reportClaim emits the change. If the claim is back in the turn in which it was
// lost, it takes that report back instead. Answers that prolong the lease had come
// in, but another input came first and the core saw the lease run out. The lease
// counts from when the answers were asked for, so there was no moment without one.
func (n *Node) reportClaim(c ClaimChanged) {
	for i, e := range slices.Backward(n.effects) {
		if was, ok := e.(ClaimChanged); ok {
			if c.Claiming && !was.Claiming && c.Term == was.Term {
				n.effects = slices.Delete(n.effects, i, i+1)
				return
			}
			break
		}
	}
	n.emit(c)
}

// relink says whom to monitor, whenever the ring's epoch or the term changes.
func (n *Node) relink() {
	if n.ring.RingID == "" {
		return
	}
	self, ok := n.ring.Member(n.cfg.ID)
	if !ok {
		return
	}
	if was := n.linked; was != nil && was.Epoch == n.ring.Epoch && was.Term == n.ring.Term {
		return
	}
	self.Incarnation = n.cfg.Incarnation // the ring may not know of the restart yet
	r := Relink{Self: self, Epoch: n.ring.Epoch, Term: n.ring.Term, Successors: n.ring.Successors(n.cfg.ID), Settings: n.ring.Settings, LeaderID: n.ring.LeaderID}
	voters := n.ring.Voters()
	order := n.ring.Succession(n.cfg.ID)
	for _, id := range append(order, voters...) {
		told := slices.ContainsFunc(r.Tell, func(m ring.Member) bool { return m.ID == id })
		if m, ok := n.ring.Member(id); ok && id != n.cfg.ID && !told && slices.Contains(voters, id) {
			r.Tell = append(r.Tell, m)
		}
	}
	r.Urgent = n.linked == nil || !r.sameDuty(n.linked)
	n.linked = &r
	n.emit(r)
}

// sameDuty reports whether a monitor that has the link was does what r asks for,
// but for whom it would turn to next, or tell.
func (r *Relink) sameDuty(was *Relink) bool {
	if len(r.Successors) == 0 || len(was.Successors) == 0 || !sameTarget(r.Successors[0], was.Successors[0]) || !sameTarget(r.Self, was.Self) {
		return false
	}
	first := r.Successors[0].ID
	if (r.LeaderID == first) != (was.LeaderID == first) || r.LeaderID == first && r.Term != was.Term {
		return false
	}
	type pace struct {
		leaderInterval, leaderMisses, interval, misses, hangAfter uint32
		grant                                                     time.Duration
	}
	paceOf := func(s ring.Settings) pace {
		return pace{s.LeaderIntervalMS, s.LeaderMisses, s.IntervalMS, s.Misses, s.HangAfterMS, s.GrantLength()}
	}
	return paceOf(r.Settings) == paceOf(was.Settings)
}

// sameTarget reports whether two states of a member are the same process at the same
// addresses.
func sameTarget(a, b ring.Member) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Incarnation == b.Incarnation && slices.Equal(a.Addresses, b.Addresses)
}
