package election

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// leader does what raft's leader has to do, by the parts for each.
type leader struct {
	*leadership
	campaign  *campaign
	caretaker *caretaker
	identity  *identity
	offers    *offers
	promises  *promises
	proposals *proposals
	requests  *requests
	verdicts  *verdicts
	watch     *watch
}

// elected begins a raft leadership.
func (ld *leader) elected() {
	ld.lead = &leading{
		since: ld.now, nextTick: ld.now.Add(ld.ring.Settings.RenewEvery()), after: ld.ring.LeaderID,
		ringAt: ld.lastIndex(),
	}
	ld.lease.begin()
	ld.roster.owed = nil
	ld.campaign.candidacy, ld.campaign.wonTerm = candidacy{}, ld.term
	ld.recorder.lossElected()
	// A member that was told to take over and let it come to another election
	// is not told again.
	ld.caretaker.unable, ld.caretaker.triedHeirs = append(ld.caretaker.unable, ld.caretaker.triedHeirs...), nil
	ld.promises.held = nil
	ld.trace("elected in term %d", ld.term)
}

// stepDown ends it; what was asked for may or may not come about.
func (ld *leader) stepDown() {
	l := ld.lead
	if l == nil {
		return
	}
	ld.lead = nil
	ld.trace("no longer raft's leader in term %d", ld.campaign.wonTerm)
	ld.proposals.end()
	for _, w := range l.requests {
		ld.emit(Done{Ref: w.ref, Err: ErrLeadershipLost})
	}
	for _, ref := range l.stops.refs.All() {
		ld.emit(Done{Ref: *ref, Err: ErrLeadershipLost})
	}
	for _, a := range l.applicants {
		ld.emit(Done{Ref: a.ref, Err: ErrLeadershipLost})
	}
	if h := l.handover; h != nil && h.ref != 0 {
		if ld.lease.released {
			ld.handedOver = h
		} else {
			ld.emit(Done{Ref: h.ref, Err: ErrLeadershipLost})
		}
	}
	// Until somebody is heard of, the ordinary patience begins again.
	ld.roster.leaderHeard = max(ld.roster.leaderHeard, ld.now)
}

// declareRule decides what a raft leader that is not declared does: declare itself
// if it is the heir, once those before it are gone; else take care.
func (ld *leader) declareRule() {
	l := ld.lead
	if ld.ring.RingID == "" || ld.proposals.underWay(proposalKey{kind: "declare"}) {
		return
	}
	l.heirless = false
	var evict []ring.Evict
	var dead []uint64
	for {
		heir, ok := ld.ring.Heir(dead...)
		if !ok {
			l.heirless = true
			l.why = "no member may lead: only witnesses are left, or those who could are dead"
			ld.evictAll(evict)
			return
		}
		if heir.ID == ld.cfg.ID {
			break
		}
		e, ok := ld.verdicts.evidence(heir)
		sign, _ := ld.identity.lastSign(heir)
		if x := l.followers.Value(heir.ID).noAnswer; !ok && x.incarnation == heir.Incarnation && sign <= x.at && !ld.identity.spokenFor(heir) {
			e.Evidence, e.By, ok = ring.Silent, ld.cfg.ID, true
		}
		if !ok {
			// A dead member before the heir goes at once: the heir must not
			// have to find that out again.
			ld.evictAll(evict)
			ld.caretaker.takeCare(heir, dead)
			return
		}
		dead = append(dead, heir.ID)
		evict = append(evict, e)
	}
	// The old leader goes in the same entry even where the heir is somebody
	// else by appointment.
	if old, ok := ld.ring.Leader(); ok && old.ID != ld.cfg.ID && !slices.Contains(dead, old.ID) {
		if e, ok := ld.verdicts.evidence(old); ok {
			evict = append(evict, e)
		}
	}
	ld.abortTransfer() // raft takes no proposals while it transfers
	ld.proposals.proposeOnce(proposalKey{kind: "declare"}, ring.Command{Declare: ld.declaration(evict)})
}

func (ld *leader) evictAll(evict []ring.Evict) {
	if !ld.roster.inTouch() {
		return
	}
	for _, e := range evict {
		key := proposalKey{kind: "evict", id: e.ID}
		if !ld.proposals.underWay(key) && len(ld.ring.Succession(e.ID)) > 0 {
			ld.abortTransfer()
			ld.proposals.proposeOnce(key, ring.Command{Evict: &e})
		}
	}
}

func (ld *leader) declaration(evict []ring.Evict) *ring.Declare {
	d := &ring.Declare{Term: ld.term, ID: ld.cfg.ID, Incarnation: ld.cfg.Incarnation, Evict: evict, Since: ld.cfg.Wall()}
	ld.recorder.measureGap(d)
	me, _ := ld.ring.Member(ld.cfg.ID)
	old, hadLeader := ld.ring.Leader()
	led := ld.ring.LastLed(me.Name)
	switch {
	case len(ld.ring.History) == 0:
		d.Why = "first leader of the ring"
	case ld.ring.Designated != nil && ld.ring.Designated.To == ld.cfg.ID:
		d.Why = ld.ring.Designated.Why
		d.Clean = !ld.ring.Designated.Recovered
	case hadLeader && old.ID == ld.cfg.ID:
		d.Why = "led last and is still alive"
		if ld.recorder.ownLoss() == ring.Unanswered {
			d.Why = "led last and is heard again, after no majority had answered it"
		}
	case led != 0:
		d.Why = fmt.Sprintf("most recent former leader alive, led in term %d", led)
	default:
		d.Why = fmt.Sprintf("no former leader is alive, lowest id %d", ld.cfg.ID)
	}
	for _, e := range evict {
		if c := ld.roster.peers.Value(e.ID).cert; c != nil && hadLeader && e.ID == old.ID {
			d.Clean = c.Clean
		}
	}
	ld.recorder.explain(d, ld.lead.after)
	if d.Evidence == "" && hadLeader && old.ID == ld.cfg.ID && ld.ring.Designated == nil {
		if d.Evidence = ld.recorder.ownLoss(); d.Evidence != "" {
			d.By = ld.cfg.ID
		}
	}
	return d
}

// leaderDeclared follows up on a committed declaration, on every member.
func (ld *leader) leaderDeclared(d ring.Declare) {
	ld.trace("declared: member %d leads in term %d", d.ID, d.Term)
	ld.caretaker.unable, ld.caretaker.triedHeirs = nil, nil
	ld.stalls = 0
	if h := ld.handedOver; h != nil && d.ID == h.to {
		ld.endHandedOver(nil)
	} else {
		ld.endHandedOver(ErrNoAnswer)
	}
	if ld.leads() && d.ID == ld.cfg.ID {
		ld.lead.caretaking = caretaking{}
		if d.Term == ld.term {
			ld.lead.declared, ld.recorder.led.declared = ld.now, ld.now
		}
		for _, p := range ld.roster.peers.All() {
			if p.suspect != nil {
				p.suspect.probed = false
			}
		}
	}
}

// evictRule lets the declared leader act on what is known against others.
func (ld *leader) evictRule() {
	anythingAgainst := ld.roster.peers.Any(func(p *peer) bool { return p.suspect != nil || p.cert != nil })
	if !anythingAgainst || !ld.roster.inTouch() {
		return
	}
	for _, m := range ld.ring.Members {
		if m.ID == ld.cfg.ID || ld.proposals.underWay(proposalKey{kind: "return", id: m.ID}) {
			continue // what it tells of itself is decided first
		}
		s := ld.roster.peers.Value(m.ID).suspect
		if e, ok := ld.verdicts.against(m); ok && !ld.identity.spokenFor(m) {
			ld.proposals.proposeOnce(proposalKey{kind: "evict", id: m.ID}, ring.Command{Evict: new(e)})
		} else if (!ok || !ld.identity.proposeReturn(m)) && s != nil {
			// The same evidence lets another process take its place, unless that one is
			// silent too by now.
			ld.verdicts.probe(m, s)
		}
	}
}

// postponed keeps a new leader's first append to a learner until the
// declaration that it carries is committed: the voters' answers are waited
// for, not the learners', and one message then tells a learner all, not three.
func (ld *leader) postponed(m *raftpb.Message) bool {
	l := ld.lead
	if l == nil || ld.declared() || ld.isVoter(m.GetTo()) || ld.now >= ld.postponedUntil() {
		return false
	}
	l.postponed = append(l.postponed, m)
	return true
}

// postponedUntil is when learners are told although nothing is committed.
func (ld *leader) postponedUntil() Instant { return ld.lead.since.Add(ld.ring.Settings.Stagger()) }

func (ld *leader) sendPostponed() {
	l := ld.lead
	if len(l.postponed) == 0 || !ld.declared() && ld.before(ld.postponedUntil()) {
		return
	}
	for _, m := range l.postponed {
		m.Commit = new(max(m.GetCommit(), ld.commit))
		ld.sendRaft(m)
	}
	l.postponed = nil
}

// memberReturned takes note that a member was restarted with its disk: what is
// known against its former process is void. The leader commits it.
func (ld *leader) memberReturned(from uint64, r Return) {
	m, ok := ld.ring.Member(from)
	if !ok || r.ID != from {
		return
	}
	if m.Is(r.Return) {
		if ld.leads() {
			ld.lead.unsettle(from) // it asks whether anybody is there
			// Perhaps it hears this leader and cannot tell which process that is.
			ld.send(Message{To: from, Return: ld.identity.self()})
		}
		return
	}
	if r.Incarnation == ld.identity.holder(m) && ld.identity.mayRecord() { // else it is a word about another process
		ld.proposals.proposeOnce(proposalKey{kind: "return", id: from}, ring.Command{Return: &r.Return})
	}
}

// interruptionRule tells of interruptions, once the claim is back.
func (ld *leader) interruptionRule() {
	b := &ld.recorder.breaks
	if b.pending.Times == 0 || ld.lead.handover != nil || !ld.dueEvery(&b.tellAt, ld.ring.Settings.RenewEvery()) {
		return
	}
	if ld.claim(ld.now) != 0 && ld.proposals.propose(proposal{}, ring.Command{Interrupted: &ring.Interrupted{Term: ld.term, Interruption: b.pending}}) {
		b.pending = ring.Interruption{}
		b.tellAt = ld.now.Add(breaksApart * ld.ring.Settings.Lease())
	}
}

// figuresRule lets the declared leader tell its figures, once.
func (ld *leader) figuresRule() {
	l := ld.lead
	if l.timed == nil || l.tellTimed == Never {
		return
	}
	if ld.dueEvery(&l.tellTimed, ld.ring.Settings.RenewEvery()) && l.handover == nil && ld.proposals.propose(proposal{}, ring.Command{Timed: l.timed}) {
		l.tellTimed = Never
	}
}
