package election

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election/internal/tracker"
	"github.com/arc-ring/arc/ring"
)

// leading is what a member knows while raft's leader: first as a winner that
// has to declare itself or to find who must, then as the declared leader.
type leading struct {
	term uint64
	// why says what a caretaker waits for.
	why      string
	since    Instant
	nextTick Instant
	after    uint64
	// measured is when the declaration said how long nobody had led.
	measured Instant
	breaks   breaks
	// advanced is when the commit index last moved on, to committed, or all was
	// committed.
	advanced  Instant
	committed uint64
	// ringAt is the newest entry that changed the ring, at least the one that began
	// the term.
	ringAt uint64
	// nextForget is when to look for former members that may be forgotten.
	nextForget Instant

	renewals renewals
	lapse    lapse
	// released: the claim was given up for a handover.
	released bool
	// heirless: nobody who may lead is alive; joiners are admitted all the same,
	// since nobody else ever could.
	heirless bool

	refs      uint64
	proposals map[uint64]proposal    // by Ref
	inFlight  map[proposalKey]uint64 // what must not be proposed twice
	requests  []waiting              // requests whose command is applied
	// applicants wait for the look at the holder of their name.
	applicants []applicant

	heartbeats heartbeats
	caretaking caretaking
	takeover   takeover
	handOn     handOn
	// owed are the answers that members owe, the oldest first.
	owed      []owed
	followers tracker.Table[follower]
	handover  *handover
	wantsLead uint64 // the newest joiner that asked to lead

	stops stops

	// postponed are the first appends to learners, which wait for the
	// declaration.
	postponed []*raftpb.Message

	// loss is what preceded; timed are the figures of the first claim, to be
	// told at tellTimed (Never: done).
	loss      loss
	timed     *ring.Timed
	tellTimed Instant
}

// unanswered is a probe of an heir that failed: when it began, and which
// process it was for. It says nothing of a newer one.
type unanswered struct {
	at          Instant
	incarnation uint64
}

// probedAhead bounds how many heirs a caretaker probes at the same time.
const probedAhead = 4

// proposalKey names a proposal of this node's own, of which one at a time is
// under way.
type proposalKey struct {
	kind string
	id   uint64
}

type proposal struct {
	key proposalKey
	req uint64 // Request.Ref; 0 if own
	id  uint64 // member the request is about
}

// caretaking is a winner's care for the heir that is somebody else.
type caretaking struct {
	heir    uint64
	since   Instant // 0 until the log says for certain who the heir is
	nextTry Instant
}

// elected begins a raft leadership.
func (n *Node) elected() {
	n.lead = &leading{
		term: n.term, since: n.now, nextTick: n.now.Add(n.ring.Settings.RenewEvery()), after: n.ring.LeaderID, renewals: renewals{seq: voteAck, ignoreUpTo: voteAck},
		proposals: map[uint64]proposal{}, inFlight: map[proposalKey]uint64{},
		ringAt: n.lastIndex(),
	}
	n.campaign, n.wonTerm = campaign{}, n.term
	n.loss.elected = n.now
	n.lead.loss, n.loss = n.loss, loss{}
	// A member that was told to take over and let it come to another election
	// is not told again.
	n.unable, n.triedHeirs = append(n.unable, n.triedHeirs...), nil
	n.voter.held = nil
	n.trace("elected in term %d", n.term)
}

// stepDown ends it; what was asked for may or may not come about.
func (n *Node) stepDown() {
	l := n.lead
	if l == nil {
		return
	}
	n.lead = nil
	n.trace("no longer raft's leader in term %d", l.term)
	for ref := uint64(1); ref <= l.refs; ref++ { // in order, for the sake of replays
		if p, ok := l.proposals[ref]; ok && p.req != 0 {
			n.emit(Done{Ref: p.req, Err: ErrLeadershipLost})
		}
	}
	for _, w := range l.requests {
		n.emit(Done{Ref: w.ref, Err: ErrLeadershipLost})
	}
	n.refuseStops(l.stops.refs, ErrLeadershipLost)
	n.dropApplicants(l.applicants)
	if h := l.handover; h != nil && h.ref != 0 {
		if h.stage == handingOver {
			n.handedOver = &handoverWait{ref: h.ref, to: h.to, deadline: h.deadline}
		} else {
			n.emit(Done{Ref: h.ref, Err: ErrLeadershipLost})
		}
	}
	// Until somebody is heard of, the ordinary patience begins again.
	n.leaderHeard = max(n.leaderHeard, n.now)
}

// leadTimers does what raft's leader has to do at this time.
func (n *Node) leadTimers() {
	l := n.lead
	if n.now >= l.nextTick {
		n.tickRaft()
		if n.lead != l {
			return
		}
		l.nextTick = n.now.Add(n.tickEvery())
	}
	n.wakeAt(l.nextTick)
	switch {
	case n.handOnRule():
	case !n.declared():
		n.winner()
	default:
		l.why = ""
		n.owedRule()
		n.evictSuspects()
		n.handoverTimers()
		n.stopRule()
		n.timedTimers()
		n.breakTimers()
		n.forgetTimers()
		n.requireRule()
	}
	if n.lead != l {
		return
	}
	n.renewTimers()
	if n.lead != l {
		return
	}
	n.sendPostponed()
	n.reconcile()
	n.completeRequests()
	n.applicantTimers()
}

// tickEvery is the interval of raft's heartbeats. A declared leader is known
// by its renewals; a caretaker sends none, and must not be taken for silent.
func (n *Node) tickEvery() time.Duration {
	if n.declared() {
		return n.ring.Settings.Lease()
	}
	return n.ring.Settings.RenewEvery()
}

// retrySnapshot lets raft send a snapshot again to a member that answers a
// heartbeat but did not acknowledge it: it may be lost, and raft would wait
// for it for ever.
func (n *Node) retrySnapshot(id uint64) {
	f := n.lead.followers.Get(id)
	if f != nil && f.snapshot.set && n.now >= f.snapshot.at.Add(n.ring.Settings.RenewEvery()) {
		f.snapshot = mark{}
		n.rn.ReportSnapshot(id, raft.SnapshotFailure)
	}
}

// winner decides what a raft leader that is not declared does: declare itself
// if it is the heir, once those before it are gone; else take care.
func (n *Node) winner() {
	l := n.lead
	if n.ring.RingID == "" || l.inFlight[proposalKey{kind: "declare"}] != 0 {
		return
	}
	l.heirless = false
	var evict []ring.Evict
	var dead []uint64
	for {
		heir, ok := n.ring.Heir(dead...)
		if !ok {
			l.heirless = true
			l.why = "no member may lead: only witnesses are left, or those who could are dead"
			n.evictAll(evict)
			return
		}
		if heir.ID == n.cfg.ID {
			break
		}
		e, ok := n.evidence(heir)
		sign, _ := n.lastSign(heir)
		if x := l.followers.Value(heir.ID).noAnswer; !ok && x.incarnation == heir.Incarnation && sign <= x.at && !n.spokenFor(heir) {
			e.Evidence, e.By, ok = ring.Silent, n.cfg.ID, true
		}
		if !ok {
			// Whoever is dead before the heir goes at once: the heir must not
			// have to find that out again.
			n.evictAll(evict)
			n.takeCare(heir, dead)
			return
		}
		dead = append(dead, heir.ID)
		evict = append(evict, e)
	}
	// The old leader goes in the same entry even where the heir is somebody
	// else by appointment.
	if old, ok := n.ring.Leader(); ok && old.ID != n.cfg.ID && !slices.Contains(dead, old.ID) {
		if e, ok := n.evidence(old); ok {
			evict = append(evict, e)
		}
	}
	n.abortTransfer() // raft takes no proposals while it transfers
	n.proposeOnce(proposalKey{kind: "declare"}, ring.Command{Declare: n.declaration(evict)})
}

func (n *Node) evictAll(evict []ring.Evict) {
	if !n.inTouch() {
		return
	}
	for _, e := range evict {
		key := proposalKey{kind: "evict", id: e.ID}
		if n.lead.inFlight[key] == 0 && len(n.ring.Succession(e.ID)) > 0 {
			n.abortTransfer()
			n.proposeOnce(key, ring.Command{Evict: &e})
		}
	}
}

func (n *Node) declaration(evict []ring.Evict) *ring.Declare {
	d := &ring.Declare{Term: n.term, ID: n.cfg.ID, Incarnation: n.cfg.Incarnation, Evict: evict, Since: n.cfg.Wall()}
	n.measureGap(d)
	me, _ := n.ring.Member(n.cfg.ID)
	old, hadLeader := n.ring.Leader()
	led := n.ring.LastLed(me.Name)
	switch {
	case len(n.ring.History) == 0:
		d.Why = "first leader of the ring"
	case n.ring.Designated != nil && n.ring.Designated.To == n.cfg.ID:
		d.Why = n.ring.Designated.Why
		d.Clean = !n.ring.Designated.Recovered
	case hadLeader && old.ID == n.cfg.ID:
		d.Why = "led last and is still alive"
		if n.ownLoss() == ring.Unanswered {
			d.Why = "led last and is heard again, after no majority had answered it"
		}
	case led != 0:
		d.Why = fmt.Sprintf("most recent former leader alive, led in term %d", led)
	default:
		d.Why = fmt.Sprintf("no former leader is alive, lowest id %d", n.cfg.ID)
	}
	for _, e := range evict {
		if c := n.peers.Value(e.ID).cert; c != nil && hadLeader && e.ID == old.ID {
			d.Clean = c.Clean
		}
	}
	n.explain(d)
	if d.Evidence == "" && hadLeader && old.ID == n.cfg.ID && n.ring.Designated == nil {
		if d.Evidence = n.ownLoss(); d.Evidence != "" {
			d.By = n.cfg.ID
		}
	}
	return d
}

// takeCare hands the leadership to the heir, whom the raft election passed
// over, or finds out that it is dead.
func (n *Node) takeCare(heir ring.Member, dead []uint64) {
	l := n.lead
	c := &l.caretaking
	if c.heir != heir.ID {
		*c = caretaking{heir: heir.ID}
		n.trace("caretaker for %s", heir.Name)
	}
	l.why = fmt.Sprintf("the heir is %s", heir.Name)
	n.lookAhead(dead)
	able := n.askTakeover(heir.ID)
	if t, known := n.termAt(n.applied); !known || t != n.term {
		// An appointment may be in the log: who the heir is, is known only when
		// an entry of the own term is applied.
		return
	}
	if c.since == 0 {
		c.since = n.now
	}
	if slices.Contains(n.unable, heir.ID) {
		n.passOver(heir, "did not take over when it was asked to")
		return
	}
	if end := n.passedOverAt(c.since); n.now < end {
		n.wakeAt(end)
	} else {
		n.passOver(heir, n.unableBecause(heir))
		return
	}
	if len(l.proposals) > 0 {
		return // raft takes none while it transfers; their fate comes back here
	}
	if n.now < c.nextTry {
		n.wakeAt(c.nextTry)
		return
	}
	if !able || !n.isVoter(heir.ID) {
		return
	}
	c.nextTry = n.now.Add(max(2*n.ring.Settings.Stagger(), n.tickEvery()))
	n.wakeAt(c.nextTry)
	if !slices.Contains(n.triedHeirs, heir.ID) {
		n.triedHeirs = append(n.triedHeirs, heir.ID)
	}
	n.transfer(heir.ID)
}

// passOver lets somebody else than the heir lead, by an appointment: the heir
// answers, so it is not evicted, but it cannot take over. This member comes
// first, since it has just won a majority.
func (n *Node) passOver(heir ring.Member, why string) {
	key := proposalKey{kind: "appoint"}
	if n.lead.inFlight[key] != 0 {
		return
	}
	if !slices.Contains(n.unable, heir.ID) {
		n.unable = append(n.unable, heir.ID)
	}
	to := n.cfg.ID
	if me, ok := n.ring.Member(n.cfg.ID); !ok || me.Witness {
		next := n.ring.Succession(n.unable...)
		if len(next) == 0 {
			n.unable = nil // all of them once more
			n.lead.caretaking = caretaking{}
			return
		}
		to = next[0]
	}
	n.abortTransfer()
	n.trace("passes %s over: it %s", heir.Name, why)
	n.proposeOnce(key, ring.Command{Appoint: &ring.Appoint{To: to, Why: heir.Name + " " + why}})
}

// lookAhead probes those who must lead before this member, several at once: if
// the leader and its heir died together, that costs one wait.
func (n *Node) lookAhead(dead []uint64) {
	l := n.lead
	for i, id := range n.ring.Succession(dead...) {
		m, ok := n.ring.Member(id)
		if !ok || id == n.cfg.ID || i >= probedAhead {
			return
		}
		f := l.followers.Ensure(id)
		if next := f.probed.at.Add(2 * n.probeTimeout()); f.probed.set && n.now < next {
			n.wakeAt(next)
			continue
		}
		f.probed = markAt(n.now)
		n.wakeAt(n.now.Add(2 * n.probeTimeout()))
		n.emit(n.probeOf(m))
	}
}

// transfer asks raft to make another voter leader. It is repeated by aborting
// the former try: the message that starts it may be lost.
func (n *Node) transfer(to uint64) {
	n.rn.TransferLeader(n.cfg.ID) // aborts, see raft's MsgTransferLeader
	n.rn.TransferLeader(to)
	n.refresh()
}

func (n *Node) abortTransfer() {
	n.rn.TransferLeader(n.cfg.ID)
	n.refresh()
}

// heirProbed takes the caretaker's probe of who must lead before it.
func (n *Node) heirProbed(r ProbeResult) {
	f := n.lead.followers.Get(r.ID)
	switch {
	case f == nil || !f.probed.set:
	case r.found():
		f.noAnswer = unanswered{}
	case r.Outcome == Unanswered:
		f.noAnswer = unanswered{min(r.Asked, n.now.Add(-n.probeTimeout())), r.Incarnation} // strangers answer at once
	default:
		f.noAnswer = unanswered{r.Asked, r.Incarnation}
	}
}

// leaderDeclared follows up on a committed declaration, on every member.
func (n *Node) leaderDeclared(d ring.Declare) {
	n.trace("declared: member %d leads in term %d", d.ID, d.Term)
	n.unable, n.triedHeirs = nil, nil
	n.stalls = 0
	if w := n.handedOver; w != nil {
		n.handedOver = nil
		var err error
		if d.ID != w.to {
			err = ErrNoAnswer
		}
		n.emit(Done{Ref: w.ref, Err: err})
	}
	if n.lead != nil && d.ID == n.cfg.ID {
		n.lead.caretaking = caretaking{}
		if d.Term == n.lead.term {
			n.lead.loss.declared = n.now
		}
		for _, p := range n.peers.All() {
			if p.suspect != nil {
				p.suspect.probed = false
			}
		}
	}
}

// evictSuspects lets the declared leader act on what is known against others.
func (n *Node) evictSuspects() {
	if !n.anythingAgainst() || !n.inTouch() {
		return
	}
	for _, m := range n.ring.Members {
		if m.ID == n.cfg.ID || n.lead.inFlight[proposalKey{kind: "return", id: m.ID}] != 0 {
			continue // what it tells of itself is decided first
		}
		if e, ok := n.against(m); ok {
			if n.spokenFor(m) {
				// The same evidence lets another process take its place.
				if s := n.peers.Value(m.ID).suspect; !n.proposeReturn(m) && s != nil {
					n.probe(m, s) // that one is silent too by now
				}
				continue
			}
			evict := e // only this one has to outlive the loop
			n.proposeOnce(proposalKey{kind: "evict", id: m.ID}, ring.Command{Evict: &evict})
		} else if s := n.peers.Value(m.ID).suspect; s != nil {
			n.probe(m, s)
		}
	}
}
