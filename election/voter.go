package election

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// voter is a member's word: what it promised to a leader, and what it must
// not do until that is over.
type voter struct {
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
	voidTerm, voidSeq uint64
	voidIncarnation   uint64
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

type promise struct {
	to          uint64
	term, seq   uint64
	incarnation uint64
	lease       time.Duration
	until       Instant
	// named is the grant whose end ends the promise.
	named grantKey
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

// free tells whether this member may help somebody to lead: no promise lives,
// and no forgotten one can.
func (n *Node) free() bool {
	return n.now >= n.voter.promise.until && n.now >= n.voter.waitUntil
}

// leaderLost tells whether raft's present leader is silent for a lease, is
// suspected in its term, is certified dead, or is none.
func (n *Node) leaderLost() bool {
	if _, ok := n.deadPartner(); ok {
		return true // who could lead but this member?
	}
	if n.raftLead == 0 {
		return n.now >= n.leaderHeard.Add(n.patience()) || n.deadLeader() != 0
	}
	if n.raftLead == n.cfg.ID {
		return false
	}
	return n.now >= n.leaderHeard.Add(n.patience()) || n.deadLeader() != 0
}

// patience is how long a silent leader is respected without a promise.
func (n *Node) patience() time.Duration { return n.ring.Settings.Lease() }

// deadLeader returns the id of the newest leader if it is certified dead or
// suspected in the term that it leads; else 0.
func (n *Node) deadLeader() uint64 {
	for _, id := range []uint64{n.raftLead, n.ring.LeaderID} {
		if id == 0 || id == n.cfg.ID {
			continue
		}
		if id != n.raftLead && n.raftLead != 0 {
			continue // somebody else is raft's leader by now
		}
		p := n.peers.Value(id)
		if p.cert != nil {
			return id
		}
		if s := p.suspect; s != nil && s.Term == n.ring.Term && n.ring.LeaderID == id {
			return id
		}
	}
	return 0
}

// forgetLeader lets raft vote although it knows a leader; only for free voters.
func (n *Node) forgetLeader() {
	if n.role == raft.StateFollower && n.raftLead != 0 {
		_ = n.rn.ForgetLeader() // fails only with lease-based reads, which are off
		n.refresh()
	}
}

// renewed answers a leader's Renew with a promise. Only a renewal makes one.
func (n *Node) renewed(from uint64, r Renew) {
	v := &n.voter
	if n.role == raft.StateLeader || n.role == raft.StateCandidate || r.Term != n.term || r.Lease <= 0 {
		return
	}
	if r.Term == v.voidTerm && r.Seq <= v.voidSeq || r.Incarnation == v.voidIncarnation {
		return
	}
	if n.raftLead != 0 && n.raftLead != from {
		return
	}
	// A promise is no longer than the lease that is committed as far as this
	// member knows: a leader that asks for more has settings that did not get
	// here yet, or none at all. The ack says how much was promised.
	var less time.Duration
	if most := n.ring.Settings.Lease(); r.Lease > most {
		r.Lease, less = most, most
		if most == 0 {
			return // no ring yet
		}
	}
	named := grantKey{r.Watcher, r.Grant}
	if named != (grantKey{}) && named == v.deadGrant {
		return // it was under way when its watcher testified
	}
	n.leaderHeard = n.now
	if r.Term == v.promise.term && r.Seq < v.promise.seq && n.now < v.promise.until {
		return // an older one, overtaken; no number counts for longer than its promise
	}
	if old := v.promise; old.lease > r.Lease {
		v.aboveUntil = max(v.aboveUntil, old.until)
	}
	shown, known := n.renewedAfter(r)
	v.promise = promise{to: from, term: r.Term, seq: r.Seq, incarnation: r.Incarnation, lease: r.Lease,
		until: max(n.now.Add(r.Lease), v.promise.until), named: named, old: shown != n.now}
	// The leader goes on, so a vote that was asked for before is not held longer.
	// This renewal itself may be older than the vote, and late.
	v.held = slices.DeleteFunc(v.held, func(h heldVote) bool { return n.now >= h.at.Add(n.ring.Settings.RenewEvery()) })
	v.voucher = Message{}
	n.claimPromised(r.Term, v.promise.until, shown, r.Claims && known)
	ack := Message{To: from, RenewAck: &RenewAck{Term: r.Term, Seq: r.Seq, Lease: less}}
	switch {
	case r.Lease > v.bound:
		// The bound must be durable before the leader counts on the promise.
		v.boundAck = ack
		if v.boundSeq == 0 || v.boundNext < r.Lease {
			v.boundNext = r.Lease
			v.boundSeq = n.persist(Persist{Bound: r.Lease, Sync: true})
		}
		return
	case r.Lease < v.bound && v.boundSeq == 0 && n.now >= v.aboveUntil && n.now >= v.waitUntil:
		v.bound = r.Lease
		n.persist(Persist{Bound: r.Lease})
	}
	n.ack(ack)
}

// ack sends an ack, and remembers when.
func (n *Node) ack(m Message) {
	n.noteAck(m.RenewAck.Term, m.RenewAck.Seq)
	n.send(m)
}

// voteAck is the number of a vote among the acks of a term. It binds nobody, but
// says as much of the age of what the leader sends later.
const voteAck = 1

// noteAck takes down when something was first acked: a renewal may come again
// much later, and be acked again.
func (n *Node) noteAck(term, seq uint64) {
	if a := &n.voter.acks[seq%uint64(len(n.voter.acks))]; a.term != term || a.seq != seq {
		*a = sentAck{term, seq, n.now}
	}
}

// renewedAfter returns a moment after which a renewal was sent for certain: the
// leader had an ack then. Within a lease of that it is taken to be new. A process
// that was stopped reads what had come in before, and cannot tell it by the time.
func (n *Node) renewedAfter(r Renew) (at Instant, known bool) {
	a := n.voter.acks[r.Acked%uint64(len(n.voter.acks))]
	if r.Acked == 0 || a.term != r.Term || a.seq != r.Acked {
		return 0, false
	}
	if n.now < a.at.Add(r.Lease) {
		return n.now, true
	}
	return a.at, true
}

func (n *Node) boundPersisted(seq uint64) {
	v := &n.voter
	if v.boundSeq == 0 || seq < v.boundSeq {
		return
	}
	v.bound, v.boundSeq = v.boundNext, 0
	if v.promise.term == v.boundAck.RenewAck.Term && n.now < v.promise.until && v.promise.lease <= v.bound {
		n.ack(v.boundAck)
	}
	v.boundAck = Message{}
}

// released takes a leader's word that it leads no longer.
func (n *Node) released(r Release) {
	v := &n.voter
	if r.Term < v.voidTerm || r.Term > n.term {
		return // an earlier leadership, or one that nobody here has promised to
	}
	// The renewals that it is about are at most a few ahead of what came here;
	// later ones must still be able to bind this voter.
	if p := v.promise; p.term == r.Term {
		r.Seq = min(r.Seq, p.seq+releasedAhead)
	} else {
		r.Seq = min(r.Seq, releasedAhead)
	}
	if r.Term > v.voidTerm || r.Seq > v.voidSeq {
		v.voidTerm, v.voidSeq, v.lapsedAt = r.Term, r.Seq, 0
		if r.Lapsed {
			v.lapsedAt = n.now
		}
	}
	p := v.promise
	if p.term == r.Term && p.seq > r.Seq {
		return // it has renewed since
	}
	if p.term == r.Term && p.until > n.now {
		n.trace("released from the promise to %d by itself", p.to)
		n.void(Message{Release: &r})
	}
	// The leader may come back at once, so nobody campaigns at once.
	if r.Lapsed && r.Term == n.term && n.raftLead == r.ID {
		n.leaderHeard = min(n.leaderHeard, n.now.Add(-n.patience()).Add(n.ring.Settings.RenewEvery()/2))
	}
}

// supersededBy ends a promise to the leader of an older term: that somebody was
// elected since means that a majority was free, and will not be bound to the
// old leader again; its lease is over.
func (n *Node) supersededBy(term uint64) {
	if p := &n.voter.promise; p.term < term && p.until > n.now {
		n.trace("released from the promise to %d: term %d has a leader", p.to, term)
		n.claimVoided(p.term, false)
		p.until = n.now
	}
}

// voidFor ends the promise to a dead incarnation.
func (n *Node) voidFor(c Certificate) {
	n.voter.voidIncarnation = c.Incarnation
	if p := n.voter.promise; p.incarnation == c.Incarnation && p.to == c.ID {
		if p.until > n.now {
			n.trace("released from the promise to %d by its death certificate", p.to)
		}
		n.void(Message{Certificate: &c})
	}
}

func (n *Node) void(voucher Message) {
	// A leader that fell silent had lost its claim before it said so.
	ended := voucher.Certificate != nil || voucher.Release != nil && !voucher.Release.Lapsed
	n.claimVoided(n.voter.promise.term, ended)
	n.voter.promise.until = min(n.voter.promise.until, n.now)
	n.voter.voucher = voucher
}

// holdVote keeps a vote that may not be answered yet.
func (n *Node) holdVote(m *raftpb.Message) {
	v := &n.voter
	v.held = slices.DeleteFunc(v.held, func(h heldVote) bool { return h.m.GetFrom() == m.GetFrom() })
	if len(v.held) < maxHeldVotes {
		v.held = append(v.held, heldVote{m, n.now, n.holder(n.memberOrGone(m.GetFrom()))})
	}
}

// voterTimers lets held votes through once this voter is free.
func (n *Node) voterTimers() {
	v := &n.voter
	if !n.free() {
		if n.lead == nil {
			n.wakeAt(max(v.promise.until, v.waitUntil))
		}
		return
	}
	held := v.held
	v.held = nil
	for _, h := range held {
		if n.holder(n.memberOrGone(h.m.GetFrom())) == h.by {
			n.receiveRaft(h.m.GetFrom(), h.m)
		}
	}
}

// memberReturned takes note that a member was restarted with its disk: what is
// known against its former process is void. The leader commits it.
func (n *Node) memberReturned(from uint64, r Return) {
	m, ok := n.ring.Member(from)
	if !ok || r.ID != from {
		return
	}
	if m.Is(r.Return) {
		if n.lead != nil {
			n.lead.unsettle(from) // it asks whether anybody is there
			// Perhaps it hears this leader and cannot tell which process that is.
			n.send(Message{To: from, Return: n.self()})
		}
		return
	}
	if r.Incarnation != n.holder(m) {
		return // a word about another process
	}
	if n.mayRecord() {
		n.proposeOnce(proposalKey{kind: "return", id: from}, ring.Command{Return: &r.Return})
	}
}
