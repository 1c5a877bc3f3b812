package election

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/arc-ring/arc/ring"
)

// handover is a planned change of the leader, step by step:
//
//	stage         appointed  lease.released  goes on when
//	appointing    no         no              the appointment is committed
//	promoting     yes        no              the appointed member can lead, votes and is caught up
//	handing over  yes        yes             raft has transferred its leadership
type handover struct {
	ref, to uint64
	why     string
	// appointed: the appointment of to was committed.
	appointed bool
	deadline  Instant
	nextTry   Instant
	// anyone: the operator named nobody, so another member may do. passed are
	// those that were asked and could not lead.
	anyone bool
	passed []uint64
	// hung: nobody asked for it, but this leader's disk hangs. It began at since.
	hung  bool
	since Instant
	// index is that of the appointment in the log; 0 before it was proposed.
	index uint64
}

// beginHandover begins a handover to a member, or (0) to the heir.
func (q *requests) beginHandover(ref, to uint64, why string) error {
	anyone := to == 0
	if anyone {
		heir, ok := q.ring.NextHeir()
		if !ok {
			return ErrNoHeir
		}
		to = heir.ID
	}
	me, _ := q.ring.Member(q.cfg.ID)
	m, ok := q.ring.Member(to)
	switch {
	case !ok:
		return fmt.Errorf("%w: id %d", ring.ErrNotMember, to)
	case to == q.cfg.ID:
		if q.claim(q.now) == 0 {
			return ErrNotLeader // it may have a successor that it has not heard of
		}
		q.emit(Done{Ref: ref})
		return nil
	case m.Witness:
		return fmt.Errorf("%w: %q is a witness and never leads", ring.ErrInvalid, m.Name)
	}
	why = cmp.Or(why, "handed over by "+me.Name)
	q.lead.takeover = takeover{} // what it answered before says nothing of now
	q.lead.handover = &handover{ref: ref, to: to, why: why, anyone: anyone, deadline: q.now.Add(q.handoverTimeout())}
	q.trace("hands over to %s: %s", m.Name, why)
	q.appoint()
	return nil
}

// appoint proposes that the member of the handover is the heir.
func (q *requests) appoint() {
	h, key := q.lead.handover, proposalKey{kind: "appoint"}
	if q.proposals.underWay(key) {
		return
	}
	q.proposals.proposeOnce(key, ring.Command{Appoint: &ring.Appoint{To: h.to, Why: h.why}})
	if q.proposals.underWay(key) {
		h.index = q.lastIndex()
	}
}

// appointed reports whether the others know that the member of the handover is the
// heir. A disk that hangs may keep this leader from applying what is committed.
func (q *requests) appointed() bool {
	h := q.lead.handover
	return q.ring.Designated != nil && q.ring.Designated.To == h.to || h.hung && h.index != 0 && h.index <= q.commit && q.applied < h.index
}

// settled reports whether nothing that this leader proposed is under way.
func (q *requests) settled() bool {
	h := q.lead.handover
	return len(q.proposals.open) == 0 || h.hung && q.commit == q.lastIndex()
}

// handoverTimeout is how long a planned change may take before the leader
// goes on leading.
func (q *requests) handoverTimeout() time.Duration {
	return min(max(4*q.ring.Settings.Lease(), time.Second), 3*time.Second)
}

// handoverPatience is how long the chosen member may take to say that it could
// lead.
func (q *requests) handoverPatience() time.Duration {
	return max(min(q.ring.Settings.Lease(), time.Second), 4*q.ring.Settings.Stagger())
}

// handoverRule goes through the steps: the appointment is committed, the
// appointed member votes, the claim is given up, the voters are released, and
// raft transfers its leadership.
func (q *requests) handoverRule() {
	l := q.lead
	if l.handover == nil {
		q.handoverOffHungDisk()
	}
	h := l.handover
	if h == nil {
		q.handoverToJoiner()
		return
	}
	if h.hung && !q.lease.released {
		if !q.hangs() {
			q.endHandover(errDiskBack)
			return
		}
		if !q.before(h.since.Add(q.handoverPatience())) { // the next one may have a better disk
			q.endHandover(ErrNoAnswer)
			return
		}
	}
	if !q.before(h.deadline) {
		if h.appointed && l.takeover.ableAt == 0 {
			q.handoverUnable()
		} else {
			q.endHandover(ErrNoAnswer)
		}
		return
	}
	switch {
	case q.appointed():
		h.appointed = true
	case h.appointed:
		q.endHandover(fmt.Errorf("%w: id %d", ring.ErrNotMember, h.to))
		return
	default:
		q.appoint()
		return
	}
	if !q.lease.released {
		// It must be able to lead before the claim is given up.
		if !q.caretaker.askTakeover(h.to) {
			if !q.before(l.takeover.began.Add(q.handoverPatience())) {
				q.handoverUnable()
			}
			return
		}
		if !slices.Contains(q.conf.GetVoters(), h.to) || len(q.conf.GetVotersOutgoing()) > 0 || !q.settled() ||
			q.acknowledged(h.to) < q.lastIndex() { // raft would wait for that, and nobody would claim meanwhile
			return // reconcile promotes it; an answer of raft's comes back here
		}
		h.deadline = min(h.deadline, q.now.Add(max(q.ring.Settings.Lease(), 4*q.ring.Settings.Stagger())))
		q.wakeAt(h.deadline)
		q.lease.released = true // the first try follows at once, and voids the lease
	}
	// Either message may be lost: both are repeated.
	if !q.dueEvery(&h.nextTry, max(2*q.ring.Settings.Stagger(), 20*time.Millisecond)) {
		return
	}
	q.releaseVoters(false)
	q.transfer(h.to)
}

// handoverUnable goes on with the next in the succession if the operator named
// nobody; else the handover ends. A member that declines only since it lost a lease
// of its own is asked until the deadline: it declines for a limited time.
func (q *requests) handoverUnable() {
	h := q.lead.handover
	m, _ := q.ring.Member(h.to)
	err := fmt.Errorf("%w: %s %s", ErrUnable, m.Name, q.caretaker.unableBecause(m))
	next := q.ring.Succession(append([]uint64{q.cfg.ID, h.to}, h.passed...)...)
	if !h.anyone || len(next) == 0 {
		if q.now >= h.deadline || !q.lead.takeover.declines(len(q.conf.GetVoters())) {
			q.endHandover(err)
		}
		return
	}
	h.passed = append(h.passed, h.to)
	h.why += "; " + m.Name + " " + q.caretaker.unableBecause(m) // the history names whom it passed over
	q.trace("does not hand over: %v", err)
	h.to, h.appointed, h.index, h.deadline = next[0], false, 0, q.now.Add(q.handoverTimeout())
	q.appoint()
}

// endHandover lets the leader go on after a handover that did not come about.
func (q *requests) endHandover(err error) {
	l := q.lead
	h := l.handover
	l.handover = nil
	q.trace("handover to %d ends: %v", h.to, err)
	if h.hung {
		l.handOn.passed = append(l.handOn.passed, h.to)
	}
	if h.ref != 0 {
		q.emit(Done{Ref: h.ref, Err: err})
	}
	if q.lease.released {
		q.abortTransfer()
		q.lease.released = false
		q.lease.next = q.now
	}
	if q.ring.Designated != nil {
		q.proposals.proposeOnce(proposalKey{kind: "appoint"}, ring.Command{Appoint: &ring.Appoint{}})
	}
}

// handoverOffHungDisk begins a handover while this leader's own disk hangs, to the
// first that said that it could lead.
func (q *requests) handoverOffHungDisk() {
	on := &q.lead.handOn
	to := on.able
	on.able = 0
	if to == 0 || !q.hangs() {
		return
	}
	me, _ := q.ring.Member(q.cfg.ID)
	if q.beginHandover(0, to, "handed over by "+me.Name+", whose disk does not finish a write") == nil && q.lead.handover != nil {
		q.lead.handover.hung, q.lead.handover.since = true, q.now
	}
}

// handoverToJoiner is ARC's original rule for joiners that ask for it.
func (q *requests) handoverToJoiner() {
	l := q.lead
	if l.wantsLead == 0 {
		if q.ring.Designated != nil {
			// Left over by a predecessor that died in a handover to somebody who
			// did not come; this leader is the one that was meant, or its heir.
			q.proposals.proposeOnce(proposalKey{kind: "appoint"}, ring.Command{Appoint: &ring.Appoint{}})
		}
		return
	}
	m, ok := q.ring.Member(l.wantsLead)
	if !ok || m.Witness || m.ID == q.cfg.ID {
		l.wantsLead = 0
		return
	}
	if !q.caughtUp(m.ID) {
		return
	}
	l.wantsLead = 0
	_ = q.beginHandover(0, m.ID, m.Name+" joined and asked to lead")
}
