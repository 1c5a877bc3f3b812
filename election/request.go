package election

import (
	"fmt"
	"slices"
	"time"

	"github.com/arc-ring/arc/ring"
)

// Never64 is raft's "no limit" for sizes.
const Never64 = ^uint64(0)

// waiting is a request that is applied but not yet done: a member that leaves
// may stop only when raft no longer counts on it.
type waiting struct {
	ref, gone uint64
}

// handover is a planned change of the leader, step by step.
type handover struct {
	ref, to  uint64
	why      string
	stage    handoverStage
	deadline Instant
	nextTry  Instant
	// anyone: the operator named nobody, so another member may do. passed are
	// those that were asked and could not lead.
	anyone bool
	passed []uint64
}

type handoverStage int

const (
	appointing handoverStage = iota
	promoting
	handingOver
)

func (n *Node) request(r Request) {
	l := n.lead
	if r.Join != nil {
		if id, ok := n.ring.JoinedAs(r.Join.Member.Name, r.Join.Member.Incarnation, r.Join.Member.Nonce); ok {
			n.emit(Done{Ref: r.Ref, ID: id}) // a retry of what is committed
			return
		}
	}
	if l == nil || !n.declared() && (r.Join == nil || !l.heirless) {
		n.emit(Done{Ref: r.Ref, Err: ErrNotLeader})
		return
	}
	if l.handover != nil {
		n.emit(Done{Ref: r.Ref, Err: ErrBusy})
		return
	}
	switch {
	case r.Join != nil:
		n.join(r.Ref, *r.Join)
	case r.Leave != nil:
		if r.Leave.ID == n.cfg.ID {
			n.emit(Done{Ref: r.Ref, Err: ErrIsLeader})
			return
		}
		n.propose(proposal{req: r.Ref, id: r.Leave.ID}, ring.Command{Leave: r.Leave})
	case r.Stop != nil:
		n.stopping(r.Ref, r.Stop.ID)
	case r.Evict != nil:
		if r.Evict.ID == n.cfg.ID {
			n.emit(Done{Ref: r.Ref, Err: ErrIsLeader})
			return
		}
		n.propose(proposal{req: r.Ref}, ring.Command{Evict: r.Evict})
	case r.Forget != nil:
		n.propose(proposal{req: r.Ref}, ring.Command{Forget: r.Forget})
	case r.Settings != nil:
		if err := r.Settings.Validate(); err != nil {
			n.emit(Done{Ref: r.Ref, Err: fmt.Errorf("%w: %w", ring.ErrInvalid, err)})
			return
		}
		n.propose(proposal{req: r.Ref}, ring.Command{Settings: r.Settings})
	case r.Handover != nil:
		n.beginHandover(r.Ref, r.Handover.To, r.Handover.Why)
	default:
		n.emit(Done{Ref: r.Ref, Err: fmt.Errorf("%w: empty request", ring.ErrInvalid)})
	}
}

// propose puts a command into the log. Its fate comes back in proposalApplied,
// or in stepDown.
func (n *Node) propose(p proposal, c ring.Command) bool {
	l := n.lead
	switch {
	case c.Evict != nil && c.Evict.At == 0:
		c.Evict.At = n.cfg.Wall()
	case c.Leave != nil && c.Leave.At == 0:
		c.Leave.At = n.cfg.Wall()
	}
	l.refs++
	c.Ref = l.refs
	if err := n.rn.Propose(c.Encode()); err != nil {
		if p.req != 0 {
			n.emit(Done{Ref: p.req, Err: fmt.Errorf("%w: %w", ErrBusy, err)})
		}
		return false
	}
	l.proposals[c.Ref] = p
	if p.key != (proposalKey{}) {
		l.inFlight[p.key] = c.Ref
	}
	n.refresh()
	return true
}

// proposeOnce proposes unless the same is under way.
func (n *Node) proposeOnce(key proposalKey, c ring.Command) {
	if n.lead.inFlight[key] == 0 {
		n.propose(proposal{key: key}, c)
	}
}

func (n *Node) proposalApplied(c ring.Command, changes []ring.Change, err error) {
	l := n.lead
	p, ok := l.proposals[c.Ref]
	if !ok {
		return
	}
	delete(l.proposals, c.Ref)
	if p.key != (proposalKey{}) {
		delete(l.inFlight, p.key)
	}
	if c.Appoint != nil && err != nil && l.handover != nil {
		n.endHandover(err)
	}
	if c.Join != nil && err == nil && c.Join.Member.OnJoin == ring.Lead {
		l.wantsLead = changes[len(changes)-1].Member.ID
	}
	if p.req == 0 {
		return
	}
	if c.Join != nil && err != nil {
		if id, ok := n.ring.JoinedAs(c.Join.Member.Name, c.Join.Member.Incarnation, c.Join.Member.Nonce); ok { // by another try
			n.emit(Done{Ref: p.req, ID: id})
			return
		}
	}
	switch {
	case err != nil:
		n.emit(Done{Ref: p.req, Err: err})
	case c.Join != nil:
		n.emit(Done{Ref: p.req, ID: changes[len(changes)-1].Member.ID})
	case c.Leave != nil:
		l.requests = append(l.requests, waiting{ref: p.req, gone: p.id})
	default:
		n.emit(Done{Ref: p.req})
	}
}

// completeRequests ends those that waited for raft's configuration.
func (n *Node) completeRequests() {
	l := n.lead
	l.requests = slices.DeleteFunc(l.requests, func(w waiting) bool {
		if n.needed(w.gone) {
			return false
		}
		n.emit(Done{Ref: w.ref})
		return true
	})
}

func (n *Node) beginHandover(ref, to uint64, why string) {
	anyone := to == 0
	if anyone {
		heir, ok := n.ring.NextHeir()
		if !ok {
			n.emit(Done{Ref: ref, Err: ErrNoHeir})
			return
		}
		to = heir.ID
	}
	me, _ := n.ring.Member(n.cfg.ID)
	m, ok := n.ring.Member(to)
	switch {
	case !ok:
		n.emit(Done{Ref: ref, Err: fmt.Errorf("%w: id %d", ring.ErrNotMember, to)})
		return
	case to == n.cfg.ID:
		var err error
		if _, _, leads := n.Claim(n.now); !leads {
			err = ErrNotLeader // it may have a successor that it has not heard of
		}
		n.emit(Done{Ref: ref, Err: err})
		return
	case m.Witness:
		n.emit(Done{Ref: ref, Err: fmt.Errorf("%w: %q is a witness and never leads", ring.ErrInvalid, m.Name)})
		return
	}
	if why == "" {
		why = "handed over by " + me.Name
	}
	n.lead.takeover = takeover{} // what it answered before says nothing of now
	n.lead.handover = &handover{ref: ref, to: to, why: why, anyone: anyone, deadline: n.now.Add(n.handoverTimeout())}
	n.trace("hands over to %s: %s", m.Name, why)
	n.proposeOnce(proposalKey{kind: "appoint"}, ring.Command{Appoint: &ring.Appoint{To: to, Why: why}})
}

// handoverTimeout is how long a planned change may take before the leader
// goes on leading.
func (n *Node) handoverTimeout() time.Duration {
	return min(max(4*n.ring.Settings.Lease(), time.Second), 3*time.Second)
}

// handoverPatience is how long the chosen member may take to say that it could
// lead.
func (n *Node) handoverPatience() time.Duration {
	return max(min(n.ring.Settings.Lease(), time.Second), 4*n.ring.Settings.Stagger())
}

// handoverTimers goes through the steps: the appointment is committed, the
// appointed member votes, the claim is given up, the voters are released, and
// raft transfers its leadership.
func (n *Node) handoverTimers() {
	l := n.lead
	h := l.handover
	if h == nil {
		n.handoverToJoiner()
		return
	}
	if n.now >= h.deadline {
		if h.stage == promoting && !l.takeover.able {
			n.handoverUnable()
			return
		}
		n.endHandover(ErrNoAnswer)
		return
	}
	n.wakeAt(h.deadline)
	appointed := n.ring.Designated != nil && n.ring.Designated.To == h.to
	if h.stage == appointing {
		if !appointed {
			n.proposeOnce(proposalKey{kind: "appoint"}, ring.Command{Appoint: &ring.Appoint{To: h.to, Why: h.why}})
			return
		}
		h.stage = promoting
	}
	if !appointed {
		n.endHandover(fmt.Errorf("%w: id %d", ring.ErrNotMember, h.to))
		return
	}
	if h.stage == promoting {
		// It must be able to lead before the claim is given up.
		able := n.askTakeover(h.to)
		if end := l.takeover.began.Add(n.handoverPatience()); !able && n.now >= end {
			n.handoverUnable()
			return
		} else if !able {
			n.wakeAt(end)
			return
		}
		if !slices.Contains(n.conf.GetVoters(), h.to) || len(n.conf.GetVotersOutgoing()) > 0 || !n.caughtUp(h.to) || len(l.proposals) > 0 {
			return // reconcile promotes it; an answer of raft's comes back here
		}
		h.stage = handingOver
		h.deadline = min(h.deadline, n.now.Add(max(n.ring.Settings.Lease(), 4*n.ring.Settings.Stagger())))
		n.wakeAt(h.deadline)
		l.released = true
		l.voidPromises()
	}
	if n.now < h.nextTry {
		n.wakeAt(h.nextTry)
		return
	}
	// Either message may be lost: both are repeated.
	h.nextTry = n.now.Add(max(2*n.ring.Settings.Stagger(), 20*time.Millisecond))
	n.wakeAt(h.nextTry)
	for _, id := range n.otherVoters() {
		n.send(Message{To: id, Release: n.release(false)})
	}
	n.transfer(h.to)
}

// handoverUnable goes on with the next in the succession if the operator named
// nobody; else the handover ends. A member that declines only since it lost a lease
// of its own is asked until the deadline: it declines for a limited time.
func (n *Node) handoverUnable() {
	h := n.lead.handover
	m, _ := n.ring.Member(h.to)
	err := fmt.Errorf("%w: %s %s", ErrUnable, m.Name, n.unableBecause(m))
	next := n.ring.Succession(append([]uint64{n.cfg.ID, h.to}, h.passed...)...)
	if !h.anyone || len(next) == 0 {
		if n.now >= h.deadline || !n.lead.takeover.declines(len(n.conf.GetVoters())) {
			n.endHandover(err)
		}
		return
	}
	h.passed = append(h.passed, h.to)
	h.why += "; " + m.Name + " " + n.unableBecause(m) // the history names whom it passed over
	n.trace("does not hand over: %v", err)
	h.to, h.stage, h.deadline = next[0], appointing, n.now.Add(n.handoverTimeout())
	n.proposeOnce(proposalKey{kind: "appoint"}, ring.Command{Appoint: &ring.Appoint{To: h.to, Why: h.why}})
}

// endHandover lets the leader go on after a handover that did not come about.
func (n *Node) endHandover(err error) {
	l := n.lead
	h := l.handover
	l.handover = nil
	n.trace("handover to %d ends: %v", h.to, err)
	if h.ref != 0 {
		n.emit(Done{Ref: h.ref, Err: err})
	}
	if l.released {
		n.abortTransfer()
		l.released = false
		l.renewals.next = n.now
	}
	if n.ring.Designated != nil {
		n.proposeOnce(proposalKey{kind: "appoint"}, ring.Command{Appoint: &ring.Appoint{}})
	}
}

// handoverToJoiner is ARC's original rule for joiners that ask for it.
func (n *Node) handoverToJoiner() {
	l := n.lead
	if n.ring.Designated != nil && l.inFlight[proposalKey{kind: "appoint"}] == 0 && l.wantsLead == 0 {
		// Left over by a predecessor that died in a handover to somebody who
		// did not come; this leader is the one that was meant, or its heir.
		n.proposeOnce(proposalKey{kind: "appoint"}, ring.Command{Appoint: &ring.Appoint{}})
		return
	}
	if l.wantsLead == 0 {
		return
	}
	m, ok := n.ring.Member(l.wantsLead)
	if !ok || m.Witness || m.ID == n.cfg.ID {
		l.wantsLead = 0
		return
	}
	if !slices.Contains(n.conf.GetLearners(), m.ID) && !n.isVoter(m.ID) || !n.caughtUp(m.ID) {
		return
	}
	l.wantsLead = 0
	n.beginHandover(0, m.ID, m.Name+" joined and asked to lead")
}
