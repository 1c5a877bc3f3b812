package election

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// promises is a voter's word: what it promised to a leader, and what it must not do
// until that is over. It steps no raft: votes that it holds are messages to it.
type promises struct {
	*base
	promise promise
	// waitUntil is when a restarted voter may take part again: it has
	// forgotten what it promised, but not for how long at most.
	waitUntil Instant
	// bound is the durable bound of all promises that may live; one above it
	// is acked only when the new bound is durable.
	bound     time.Duration
	boundSeq  uint64 // Persist under way that raises it; 0 if none
	boundNext time.Duration
	boundAck  Message
	// acks are the newest that were sent, by their numbers modulo its length.
	acks [64]sentAck
	// aboveUntil is when the last promise longer than the newest ends.
	aboveUntil Instant

	// voided remembers dead leaderships, so that a renewal that was under way
	// does not bind this voter to a leader known to be gone.
	voidTerm, voidSeq       uint64
	voidID, voidIncarnation uint64
	// lapsedAt is when the newest leader said that its lease had ended; 0 if it
	// handed over, or said nothing.
	lapsedAt Instant
	// deadGrant is the newest grant of which its watcher testified the end.
	deadGrant grantKey

	// held are votes asked for while a promise lives, the newest of each
	// candidate; the promise's end lets them through.
	held []heldVote

	// voucher is what voided the promise; a candidate passes it to the voters
	// ahead of its vote.
	voucher Message
}

type heldVote struct {
	m  *raftpb.Message
	at Instant
	// by is the process that asked. An answer would count for its member's present
	// one, whose log may be shorter.
	by uint64
}

// promise is the newest one. Its Lease is what was promised.
type promise struct {
	Renew
	to    uint64
	until Instant
	// old: for all that this member knows, more than a lease may have passed
	// between the renewal's sending and its reading.
	old bool
}

type sentAck struct {
	term, seq uint64
	at        Instant
}

// releasedAhead is how many renewals beyond the newest that came here a release
// may be about.
const releasedAhead = 16

// maxHeldVotes bounds held; there are never more candidates than voters.
const maxHeldVotes = 32

// free reports whether this member may help somebody to lead: no promise lives,
// and no forgotten one can.
func (v *promises) free() bool {
	return v.now >= v.promise.until && v.now >= v.waitUntil
}

// takeRenewal answers a renewal of the present leader with a promise. Only a renewal
// makes one. It reports whether the leader was heard by that: an old renewal says
// nothing.
func (v *promises) takeRenewal(from uint64, r Renew) bool {
	most := v.ring.Settings.Lease() // 0 without a ring
	if r.Lease <= 0 || most == 0 || r.Term == v.voidTerm && r.Seq <= v.voidSeq || from == v.voidID && r.Incarnation == v.voidIncarnation {
		return false
	}
	// A promise is no longer than the lease that is committed as far as this
	// member knows: a leader that asks for more has settings that did not get
	// here yet, or none at all. The ack says how much was promised.
	var less time.Duration
	if r.Lease > most {
		r.Lease, less = most, most
	}
	if named := r.named(); named != (grantKey{}) && named == v.deadGrant {
		return false // it was under way when its watcher testified
	}
	if r.Term == v.promise.Term && r.Seq < v.promise.Seq && v.now < v.promise.until {
		return true // an older one, overtaken; no number counts for longer than its promise
	}
	if old := v.promise; old.Lease > r.Lease {
		v.aboveUntil = max(v.aboveUntil, old.until)
	}
	shown, known := v.renewedAfter(r)
	v.promise = promise{Renew: r, to: from, until: max(v.now.Add(r.Lease), v.promise.until), old: shown != v.now}
	// The leader goes on, so a vote that was asked for before is not held longer.
	// This renewal itself may be older than the vote, and late.
	v.held = slices.DeleteFunc(v.held, func(h heldVote) bool { return v.now >= h.at.Add(v.ring.Settings.RenewEvery()) })
	v.voucher = Message{}
	v.observer.claimPromised(r.Term, v.promise.until, shown, r.Claims && known)
	ack := Message{To: from, RenewAck: &RenewAck{Term: r.Term, Seq: r.Seq, Lease: less}}
	switch {
	case r.Lease > v.bound:
		// The bound must be durable before the leader counts on the promise.
		v.boundAck = ack
		if v.boundSeq == 0 || v.boundNext < r.Lease {
			v.boundNext = r.Lease
			v.boundSeq = v.persist(Persist{Bound: r.Lease, Sync: true})
		}
		return true
	case r.Lease < v.bound && v.boundSeq == 0 && v.now >= v.aboveUntil && v.now >= v.waitUntil:
		v.bound = r.Lease
		v.persist(Persist{Bound: r.Lease})
	}
	v.ack(ack)
	return true
}

// ack sends an ack, and remembers when.
func (v *promises) ack(m Message) {
	v.noteAck(m.RenewAck.Term, m.RenewAck.Seq)
	v.send(m)
}

// voteAck is the number of a vote among the acks of a term. It binds nobody, but
// says as much of the age of what the leader sends later.
const voteAck = 1

// noteAck takes down when something was first acked: a renewal may come again
// much later, and be acked again.
func (v *promises) noteAck(term, seq uint64) {
	if a := &v.acks[seq%uint64(len(v.acks))]; a.term != term || a.seq != seq {
		*a = sentAck{term, seq, v.now}
	}
}

// renewedAfter returns a moment after which a renewal was sent for certain: the
// leader had an ack then. Within a lease of that it is taken to be new. A process
// that was stopped reads what had come in before, and cannot tell it by the time.
func (v *promises) renewedAfter(r Renew) (at Instant, known bool) {
	a := v.acks[r.Acked%uint64(len(v.acks))]
	if r.Acked == 0 || a.term != r.Term || a.seq != r.Acked {
		return 0, false
	}
	if v.now < a.at.Add(r.Lease) {
		return v.now, true
	}
	return a.at, true
}

func (v *promises) boundPersisted(seq uint64) {
	if v.boundSeq == 0 || seq < v.boundSeq {
		return
	}
	v.bound, v.boundSeq = v.boundNext, 0
	if v.promise.Term == v.boundAck.RenewAck.Term && v.now < v.promise.until && v.promise.Lease <= v.bound {
		v.ack(v.boundAck)
	}
	v.boundAck = Message{}
}

// takeRelease ends the promise that a release is about. It reports whether the leader
// has not renewed since.
func (v *promises) takeRelease(r Release) bool {
	if r.Term < v.voidTerm {
		return false // an earlier leadership
	}
	// The renewals that it is about are at most a few ahead of what came here;
	// later ones must still be able to bind this voter.
	p, newest := v.promise, uint64(0)
	if p.Term == r.Term {
		newest = p.Seq
	}
	r.Seq = min(r.Seq, newest+releasedAhead)
	if r.Term > v.voidTerm || r.Seq > v.voidSeq {
		v.voidTerm, v.voidSeq, v.lapsedAt = r.Term, r.Seq, 0
		if r.Lapsed {
			v.lapsedAt = v.now
		}
	}
	if newest > r.Seq {
		return false // it has renewed since
	}
	if p.Term == r.Term && p.until > v.now {
		v.trace("released from the promise to %d by itself", p.to)
		v.void(Message{Release: &r})
	}
	return true
}

// supersededBy ends a promise to the leader of an older term: that somebody was
// elected since means that a majority was free, and will not be bound to the
// old leader again; its lease is over.
func (v *promises) supersededBy(term uint64) {
	if p := &v.promise; p.Term < term && p.until > v.now {
		v.trace("released from the promise to %d: term %d has a leader", p.to, term)
		v.observer.claimVoided(p.Term, false)
		p.until = v.now
	}
}

// voidFor ends the promise to a dead incarnation.
func (v *promises) voidFor(c Certificate) {
	v.voidID, v.voidIncarnation = c.ID, c.Incarnation
	if p := v.promise; p.Incarnation == c.Incarnation && p.to == c.ID {
		if p.until > v.now {
			v.trace("released from the promise to %d by its death certificate", p.to)
		}
		v.void(Message{Certificate: &c})
	}
}

func (v *promises) void(voucher Message) {
	// A leader that fell silent had lost its claim before it said so.
	ended := voucher.Certificate != nil || voucher.Release != nil && !voucher.Release.Lapsed
	v.observer.claimVoided(v.promise.Term, ended)
	v.promise.until = min(v.promise.until, v.now)
	v.voucher = voucher
}

// holdVote keeps a vote that may not be answered yet, by a process of its candidate.
func (v *promises) holdVote(m *raftpb.Message, by uint64) {
	v.held = slices.DeleteFunc(v.held, func(h heldVote) bool { return h.m.GetFrom() == m.GetFrom() })
	if len(v.held) < maxHeldVotes {
		v.held = append(v.held, heldVote{m, v.now, by})
	}
}

// testified takes a watcher's word that its grant to a leader has ended: the
// promise that named this grant is over.
func (v *promises) testified(s ring.Opinion) {
	if s.Grant() == 0 {
		return
	}
	key := grantKey{s.By, s.Grant()}
	v.deadGrant = key
	if p := v.promise; p.to == s.ID && p.named() == key && p.until > v.now {
		v.trace("released from the promise to %d: its watcher %d testifies", p.to, s.By)
		v.void(Message{Opinion: &s})
	}
}
