package election

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/ring"
)

// suspect is what this member knows against another one.
type suspect struct {
	Suspicion
	// at is when it was last reported.
	at Instant
	// probing is when the leader's own probe began; confirmed that it failed.
	probing   Instant
	probed    bool
	confirmed bool
	found     ring.Evidence // what that probe found
}

// ownSuspicion takes a report of the own monitor: it is noted here, and told
// to those who decide.
func (n *Node) ownSuspicion(s Suspicion) {
	m, ok := n.ring.Member(s.ID)
	if !ok || !n.concerns(s, m) || s.ID == n.cfg.ID {
		return
	}
	if !s.Cleared {
		n.doubtTouch()
	}
	n.suspicion(s)
	// Repeats are for the case that one got lost, not for every probe of a link
	// that has one every few milliseconds.
	if n.told == s && n.now < n.toldAt.Add(n.ring.Settings.RenewEvery()) {
		return
	}
	n.told, n.toldAt = s, n.now
	to := []uint64{n.raftLead}
	if s.ID == n.ring.LeaderID || s.ID == n.raftLead {
		to = n.otherVoters() // the voters choose its successor
	}
	for _, id := range to {
		if id != 0 && id != n.cfg.ID && id != s.ID {
			c := s
			n.send(Message{To: id, Suspicion: &c})
		}
	}
}

// suspicion notes somebody's opinion of a member.
func (n *Node) suspicion(s Suspicion) {
	n.testified(s)
	m, ok := n.ring.Member(s.ID)
	if !ok || !n.concerns(s, m) {
		return
	}
	if _, ok := n.ring.Member(s.By); !ok {
		return
	}
	p := n.peers.Ensure(s.ID)
	old := p.suspect
	if s.Cleared {
		if old != nil && old.By == s.By {
			n.clear(s.ID, s, "answers again")
			n.lossUnexplained(s.ID, s.By)
		}
		n.deferInspection(s.ID)
		return
	}
	if s.ID == n.cfg.ID {
		return // a leader hears what others think of it; its lease decides
	}
	if s.Term < n.ring.Term || s.ID == n.ring.LeaderID && s.Term != n.ring.Term {
		return // from an earlier leadership: it may have lain in a buffer, and is repeated if it is true
	}
	if s.ID == n.ring.LeaderID && n.ring.Settings.LeaderGrants {
		n.check(s.ID)
	}
	if s.Doubt {
		return
	}
	if s.Evidence != ring.Refused && n.now < p.denied {
		return
	}
	if old == nil {
		old = &suspect{Suspicion: s}
		p.suspect = old
		n.suspected++
		c := s
		n.trace("suspects %s: %s, says %d", m.Name, s.Evidence, s.By)
		n.emit(SuspicionChanged{Suspicion: &c, Why: string(s.Evidence)})
	} else {
		if s.Grant == 0 && old.Term == s.Term && old.By == s.By {
			s.Grant = old.Grant // a testimony is for good
		}
		old.Suspicion = s
	}
	old.at = n.now
	if n.lead != nil {
		n.probe(m, old)
	}
}

// suspectTimers forgets what is no longer repeated: a monitor that was
// re-pointed takes nothing back.
func (n *Node) suspectTimers() {
	if !n.anySuspect() {
		return // this is asked at every step, and a ring may be large
	}
	for _, m := range n.ring.Members { // in order, for the sake of replays
		s := n.peers.Value(m.ID).suspect
		if s == nil {
			continue
		}
		if end := s.at.Add(n.ring.Settings.SuspicionLasts()); n.now >= end {
			n.clear(m.ID, s.Suspicion, "nobody repeats it")
			n.lossUnexplained(m.ID, s.By)
		} else {
			n.wakeAt(end)
		}
	}
}

// forgetStale drops what is known against a process that is not the member's
// newest.
func (n *Node) forgetStale(id uint64) {
	m, ok := n.ring.Member(id)
	p := n.peers.Ensure(id)
	if p.suspect != nil && (!ok || !n.concerns(p.suspect.Suspicion, m)) {
		p.suspect = nil
		n.suspected++
	}
	if p.cert != nil && (!ok || p.cert.Incarnation != n.holder(m)) {
		p.cert = nil
	}
}

// concerns tells whether a suspicion is about a process that the member may
// still be. Monitors know the committed incarnation alone, and a newer one may
// die before it is committed; the leader's own probe asks for any.
func (n *Node) concerns(s Suspicion, m ring.Member) bool {
	return s.Incarnation == m.Incarnation || s.Incarnation == n.holder(m)
}

func (n *Node) clear(id uint64, s Suspicion, why string) {
	n.peers.Ensure(id).suspect = nil
	n.suspected++
	s.Cleared = true
	n.trace("clears %d: %s", id, why)
	n.emit(SuspicionChanged{Suspicion: &s, Why: why})
}

// probe begins the leader's own check of a suspect, unless one runs or was
// denied just now.
func (n *Node) probe(m ring.Member, s *suspect) {
	if sign, _ := n.lastSign(m); s.probed && (!s.confirmed || n.confirmed(s) && sign <= s.probing) {
		return // under way, or failed and nothing heard since
	}
	if n.peers.Value(m.ID).cert != nil {
		return // there is better evidence
	}
	s.confirmed = false
	s.probed, s.probing = true, n.now
	n.emit(n.probeOf(m))
}

// confirmed reports whether this member's own probe of a suspect failed, and
// nothing was heard since. That ages as a suspicion does: a leader that was cut
// off has to look again when it is back.
func (n *Node) confirmed(s *suspect) bool {
	return s.confirmed && n.peers.Value(s.ID).heard.at <= s.probing && n.now < s.probing.Add(n.probeTimeout()).Add(n.ring.Settings.SuspicionLasts())
}

// probeOf makes a probe of a member's process, where that one listens as far as is
// known: it may have told so before the ring has recorded it.
func (n *Node) probeOf(m ring.Member) Probe {
	m.Addresses = n.placeOf(m)
	return Probe{ID: m.ID, Incarnation: m.Incarnation, Addresses: m.Addresses, Timeout: n.probeTimeout(), Asked: n.now,
		Wanted: ring.Wanted{Cluster: n.ring.Cluster, RingID: n.ring.RingID, Name: m.Name, ID: m.ID, Incarnation: m.Incarnation}}
}

// check asks a member for a sign of life, unless one is awaited.
func (n *Node) check(id uint64) {
	p := n.peers.Ensure(id)
	if p.checked.set && p.heard.at <= p.checked.at && n.now < p.checked.at.Add(n.probeTimeout()) {
		return
	}
	p.checked = markAt(n.now)
	n.send(Message{To: id, Check: &Check{}})
}

// checkedSilent tells whether this member asked a suspect for a sign of life
// and got none for as long as it takes to miss one probe less than a suspicion
// needs.
func (n *Node) checkedSilent(id uint64) bool {
	p := n.peers.Value(id)
	if !p.checked.set || p.heard.at > p.checked.at {
		return false
	}
	interval, misses := n.ring.Settings.Link(true)
	end := p.checked.at.Add(interval * time.Duration(max(misses-1, 1)))
	if n.now < end {
		n.wakeAt(end)
		return false
	}
	return true
}

// missRenewal asks the leader for a sign of life once its renewals are overdue,
// so that whoever wins when the promises have ended has looked for itself.
func (n *Node) missRenewal() {
	if n.raftLead == 0 || n.raftLead != n.ring.LeaderID {
		return
	}
	due := n.leaderHeard.Add(n.ring.Settings.Lease() * 2 / 3)
	if n.now < due {
		n.wakeAt(due)
	} else if checked := n.peers.Value(n.raftLead).checked; !checked.set || checked.at < due {
		n.check(n.raftLead)
	}
}

// silentToAll tells whether the old leader may go although no monitor suspects
// it yet: a majority has just voted whose promises had run out, so none of it
// had heard a renewal for a lease, and this winner has not either, and has
// asked it in vain.
func (n *Node) silentToAll(id uint64) bool {
	p := n.peers.Value(id)
	if id != n.ring.LeaderID || n.lead == nil || n.declared() || !p.checked.set || !p.heard.set || p.heard.at > p.checked.at {
		return false
	}
	end := max(p.heard.at.Add(n.ring.Settings.Lease()), p.checked.at.Add(n.ring.Settings.Lease()/4))
	if n.now < end {
		n.wakeAt(end)
		return false
	}
	return true
}

// probeTimeout is how long the leader's own probe waits.
func (n *Node) probeTimeout() time.Duration { return n.ring.Settings.OwnProbe() }

// probed takes the answer to a Probe. A suspicion is confirmed by silence on
// every path, or by a host that says that nobody listens.
func (n *Node) probed(r ProbeResult) {
	defer n.meet(r)
	if n.lookElsewhere(r) || n.lookAgain(r) {
		return
	}
	if r.Recorded {
		n.questioned(r)
		return
	}
	if n.lead != nil {
		n.heirProbed(r)
		n.holderProbed(r)
	}
	n.inspected(r)
	p := n.peers.Ensure(r.ID)
	s := p.suspect
	if s == nil || !s.probed || s.Incarnation != r.Incarnation {
		return
	}
	c, claimed := n.claimed(r.ID)
	claimed = claimed && r.Outcome == Answered && r.AnsweredBy == c.incarnation && r.AnsweredBy != r.Incarnation
	began := r.Asked
	if r.Outcome == Unanswered || claimed {
		// Strangers answer at once, and so does the process that speaks for the
		// member now: silence has to last all the same.
		began = min(began, n.now.Add(-n.probeTimeout()))
	}
	switch {
	case claimed && p.heard.at <= began, !r.found() && (r.Outcome != Unanswered || n.heardGone(r.ID) <= began):
		s.confirmed, s.probing = true, began
		s.found = r.evidence()
		n.trace("confirms the suspicion of %d by its own probe", r.ID)
	default:
		// A watcher that alone cannot reach it says so again and again: it is
		// believed again after as long as it takes to form the opinion.
		p.denied = n.now.Add(n.ring.Settings.Detection(false))
		n.clear(r.ID, s.Suspicion, "the leader reaches it")
		n.lossUnexplained(r.ID, s.By)
		n.deferInspection(r.ID)
	}
}

// lookElsewhere repeats a probe that found nothing, if its member has told of
// other addresses meanwhile: what is at the old ones says nothing of it. A
// question goes where one process listens, and is judged by that.
func (n *Node) lookElsewhere(r ProbeResult) bool {
	m, ok := n.ring.Member(r.ID)
	if !ok || r.Recorded || r.found() || m.Incarnation != r.Incarnation || len(r.Addresses) == 0 || slices.Equal(r.Addresses, n.placeOf(m)) {
		return false
	}
	n.emit(n.probeOf(m))
	return true
}

// lookAgain repeats a probe whose silence comes much later than its time was over:
// this process was stopped or starved meanwhile. What was found may be long
// outdated, and what is under way since has not been read yet. So it does with one that
// found nobody who listens, if another process of the member has spoken since: the one
// path was refused before that, and the other ones took their time.
func (n *Node) lookAgain(r ProbeResult) bool {
	late := r.Outcome == Unanswered && n.now >= r.Asked.Add(n.probeTimeout()).Add(max(n.probeTimeout(), n.ring.Settings.Lease()))
	c := n.peers.Value(r.ID).claim
	overtaken := r.Outcome == NobodyListens && !r.Recorded && c != nil && c.incarnation != r.Incarnation && c.heard > r.Asked
	if !late && !overtaken {
		return false
	}
	m := n.memberOrGone(r.ID)
	if m.ID == 0 {
		return false
	}
	m.Incarnation, m.Addresses = r.Incarnation, r.Addresses
	p := n.probeOf(m)
	p.Recorded, p.Addresses = r.Recorded, r.Addresses
	n.trace("looks again for %s: the answer to its probe is outdated", m.Name)
	n.emit(p)
	return true
}

// certify notes that a member's process has ended.
func (n *Node) certify(c Certificate) {
	if c.ID == 0 || c.ID == n.cfg.ID || c.Incarnation == 0 {
		return
	}
	m, ok := n.ring.Member(c.ID)
	if ok && c.Name != m.Name {
		n.trace("a certificate for member %d names %q, it is %s: no monitor of this ring wrote that", c.ID, c.Name, m.Name)
		return
	}
	if p := n.voter.promise; p.to == c.ID && p.incarnation == c.Incarnation {
		n.voidFor(c)
	}
	if ok || n.needed(c.ID) {
		n.retire(c.ID, c.Incarnation, true)
	}
	if !ok || c.Incarnation != n.holder(m) {
		return // it was started again since, or never was the member
	}
	p := n.peers.Ensure(c.ID)
	if k, ok := n.claimed(c.ID); ok {
		// It was started again, and speaks already. But a copy may speak too, so the
		// certificate alone lets nobody in.
		p.quiet = n.now.Add(max(n.ring.Settings.Lease(), n.voter.bound))
		n.question(m, k, n.holder(m))
	}
	if p.cert != nil {
		return
	}
	p.cert = &c
	n.voidFor(c)
	if !n.enoughLive() {
		n.startOver() // in a pair this member may go on alone now
	}
	n.trace("%s is certified dead: %s", m.Name, c.Exit)
	k := c
	n.emit(SuspicionChanged{Certificate: &k, Why: c.Exit})
	if n.lead == nil && n.raftLead != 0 && n.raftLead != c.ID {
		n.send(Message{To: n.raftLead, Certificate: &k})
	}
}

// evidence reports whether this leader may evict a member, and why. Nothing is
// held against a recorded process while another one speaks for the member. A leader
// that stood still may have slept through what either of them said: the member has a
// lease to say it again, unless it is certified dead.
func (n *Node) evidence(m ring.Member) (ring.Evict, bool) {
	e, ok := n.against(m)
	if again := n.resumed.Add(n.ring.Settings.Lease()); ok && e.Evidence != ring.Certified && n.resumed != 0 && n.now < again {
		n.wakeAt(again)
		return e, false
	}
	return e, ok && !n.spokenFor(m)
}

// against reports whether the process that the ring has recorded is gone as far
// as this leader can find out: it is certified dead; or it is suspected, and this
// leader's own probe, or a lease of silence towards this leader, confirms that.
func (n *Node) against(m ring.Member) (ring.Evict, bool) {
	e := ring.Evict{ID: m.ID, Incarnation: m.Incarnation}
	p := n.peers.Value(m.ID)
	if p.cert != nil {
		e.Evidence = ring.Certified
		return e, true
	}
	s := p.suspect
	if s == nil {
		e.Evidence, e.By = ring.Silent, n.cfg.ID
		return e, n.silentToAll(m.ID)
	}
	e.Evidence, e.By = s.Evidence, s.By
	if n.confirmed(s) {
		e.Evidence = s.found
		return e, true
	}
	// A leader whose watcher testified and that answers this member no more than
	// the watcher was looked for by two.
	e.Evidence = ring.Silent
	if s.Grant != 0 && m.ID == n.ring.LeaderID && n.checkedSilent(m.ID) {
		return e, true
	}
	// Whoever follows a leader hears from it all the time; a lease of silence
	// is worth a probe.
	return e, p.heard.set && m.ID == n.ring.LeaderID && n.now >= p.heard.at.Add(n.ring.Settings.Lease())
}
