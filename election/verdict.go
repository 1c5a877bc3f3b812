package election

import (
	"slices"

	"github.com/arc-ring/arc/ring"
)

// A member is thought dead on one of three grounds, each stronger than the one before: a
// monitor suspects it; this member's own probe, or its silence towards this member,
// confirms that; or its own monitor certifies its end. The roster's verdict says which,
// and everybody asks it. A suspicion alone moves nobody out. Who leads evicts a member
// by way of these steps:
//
//	ownSuspicion  the own monitor's opinion is noted, and told to those who decide
//	suspicion     somebody's opinion is noted; a leader begins a probe of its own
//	confirm       the probe's answer takes the suspicion back, or confirms it
//	against       says whether that is enough for the leader's evictRule, which proposes
//	evidence      says the same of the old leader, for the declaration of the next one
//
// docs/architecture.md has the whole way, from the missed probe to the monitor's new
// target.

// suspect is what this member knows against another one.
type suspect struct {
	ring.Opinion
	// at is when it was last reported.
	at Instant
	// probing is when the leader's own probe began.
	probing Instant
	probed  bool
	found   ring.Evidence // what that probe found, "" if nothing yet
}

// verdicts says who is dead.
type verdicts struct {
	*identity
	// told is what this member last told others of a suspicion, at toldAt.
	told   ring.Opinion
	toldAt Instant
}

// ownSuspicion takes a report of the own monitor: it is noted here, and told
// to those who decide.
func (v *verdicts) ownSuspicion(s ring.Opinion) {
	m, ok := v.ring.Member(s.ID)
	if !ok || !v.identity.concerns(s, m) || s.ID == v.cfg.ID {
		return
	}
	if s.Word != (ring.Clear{}) {
		v.roster.doubtTouch()
	}
	v.suspicion(s)
	// A report is repeated since one may get lost. On a link with a probe every few
	// milliseconds, not each of them is worth a repeat.
	if v.told == s && v.now < v.toldAt.Add(v.ring.Settings.RenewEvery()) {
		return
	}
	v.told, v.toldAt = s, v.now
	to := []uint64{v.raftLead}
	if s.ID == v.ring.LeaderID || s.ID == v.raftLead {
		to = v.otherVoters() // the voters choose its successor
	}
	for _, id := range to {
		if id != 0 && id != v.cfg.ID && id != s.ID {
			v.send(Message{To: id, Opinion: new(s)})
		}
	}
}

// suspicion notes somebody's opinion of a member.
func (v *verdicts) suspicion(s ring.Opinion) {
	v.promises.testified(s)
	m, ok := v.ring.Member(s.ID)
	if !ok || !v.identity.concerns(s, m) || !v.isMember(s.By) {
		return
	}
	p := v.roster.peers.Ensure(s.ID)
	old := p.suspect
	if s.Word == (ring.Clear{}) {
		if old != nil && old.By == s.By {
			v.clear(s.ID, s, "answers again")
		}
		v.roster.deferInspection(s.ID)
		return
	}
	if s.ID == v.cfg.ID {
		return // a leader hears what others think of it; its lease decides
	}
	if s.Term < v.ring.Term || s.ID == v.ring.LeaderID && s.Term != v.ring.Term {
		return // from an earlier leadership: it may have lain in a buffer, and is repeated if it is true
	}
	if s.ID == v.ring.LeaderID && v.ring.Settings.LeaderGrants {
		v.roster.check(s.ID)
	}
	if s.Word == (ring.Doubt{}) || s.Evidence() != ring.Refused && v.now < p.denied {
		return
	}
	if old == nil {
		old = &suspect{Opinion: s}
		p.suspect = old
		v.roster.suspicionChanges++
		v.trace("suspects %s: %s, says %d", m.Name, s.Evidence(), s.By)
		v.emit(SuspicionChanged{Opinion: new(s), Why: string(s.Evidence())})
	} else {
		if g := old.Grant(); g != 0 && s.Grant() == 0 && old.Term == s.Term && old.By == s.By {
			s.Word = ring.GrantExpired{Grant: g, Evidence: s.Evidence()} // that is for good
		}
		old.Opinion = s
	}
	old.at = v.now
	if v.leads() {
		v.probe(m, old)
	}
}

// suspicionRule forgets what is no longer repeated: a monitor that was
// re-pointed takes nothing back.
func (v *verdicts) suspicionRule() {
	for id, p := range v.roster.peers.All() { // in order, for the sake of replays
		if s := p.suspect; s != nil && !v.before(s.at.Add(v.ring.Settings.SuspicionLasts())) {
			v.clear(id, s.Opinion, "nobody repeats it")
		}
	}
}

func (v *verdicts) clear(id uint64, s ring.Opinion, why string) {
	v.roster.peers.Ensure(id).suspect = nil
	v.roster.suspicionChanges++
	v.trace("clears %d: %s", id, why)
	v.emit(SuspicionChanged{Opinion: &s, Cleared: true, Why: why})
	v.observer.lossUnexplained(id, s.By)
}

// probe begins the leader's own check of a suspect, unless one runs or was
// denied just now.
func (v *verdicts) probe(m ring.Member, s *suspect) {
	sign, _ := v.identity.lastSign(m)
	failed := v.roster.confirmed(s) && sign <= s.probing // and nothing was heard since
	if s.probed && (s.found == "" || failed) || v.roster.verdict(m.ID).certified() {
		return // it is under way, or there is better evidence
	}
	s.probed, s.probing, s.found = true, v.now, ""
	v.emit(v.identity.probeOf(m))
}

// silentToAll reports whether the old leader may go although no monitor suspects
// it yet: a majority has just voted whose promises had run out, so none of it
// had heard a renewal for a lease, and this winner has not either, and has
// asked it in vain.
func (v *verdicts) silentToAll(id uint64) bool {
	p := v.roster.peers.Value(id)
	if id != v.ring.LeaderID || !v.leads() || v.declared() || p.checked == 0 || p.heard == 0 || p.heard > p.checked {
		return false
	}
	return !v.before(max(p.heard.Add(v.ring.Settings.Lease()), p.checked.Add(v.ring.Settings.Lease()/4)))
}

// confirm takes the answer to this leader's own probe of a suspect.
func (v *verdicts) confirm(r ProbeResult) {
	p := v.roster.peers.Ensure(r.Of.ID)
	s := p.suspect
	if s == nil || !s.probed || s.Incarnation != r.Of.Incarnation {
		return
	}
	c, claimed := v.identity.claimed(r.Of.ID)
	heard := p.lastWord()
	claimed = claimed && r.Outcome == Answered && r.AnsweredBy == c.incarnation && r.AnsweredBy != r.Of.Incarnation
	began := r.Of.Asked
	if r.Outcome == Unanswered || claimed {
		// Strangers answer at once, and so does the process that speaks for the
		// member now: silence has to last all the same.
		began = min(began, v.now.Add(-v.probeTimeout()))
	}
	switch {
	case claimed && p.heard <= began, !r.found() && (r.Outcome != Unanswered || heard <= began):
		s.probing, s.found = began, r.evidence()
		v.trace("confirms the suspicion of %d by its own probe", r.Of.ID)
	default:
		// A watcher that alone cannot reach it says so again and again: it is
		// believed again after as long as it takes to form the opinion.
		p.denied = v.now.Add(v.ring.Settings.Detection(false))
		v.clear(r.Of.ID, s.Opinion, "the leader reaches it")
		v.roster.deferInspection(r.Of.ID)
	}
}

// lookElsewhere repeats a probe that found nothing, if its member has told of
// other addresses meanwhile: what is at the old ones says nothing of it. A
// question goes where one process listens, and is judged by that.
func (v *verdicts) lookElsewhere(r ProbeResult) bool {
	m, ok := v.ring.Member(r.Of.ID)
	if !ok || r.Of.Recorded || r.found() || m.Incarnation != r.Of.Incarnation || len(r.Of.Addresses) == 0 || slices.Equal(r.Of.Addresses, v.identity.placeOf(m)) {
		return false
	}
	v.emit(v.identity.probeOf(m))
	return true
}

// lookAgain repeats a probe whose silence comes much later than its time was over:
// this process was stopped or starved meanwhile. What was found may be long
// outdated, and what is under way since has not been read yet. So it does with one that
// found nobody who listens, if another process of the member has spoken since: the one
// path was refused before that, and the other ones took their time.
func (v *verdicts) lookAgain(r ProbeResult) bool {
	late := r.Outcome == Unanswered && v.now >= r.Of.Asked.Add(v.probeTimeout()).Add(max(v.probeTimeout(), v.ring.Settings.Lease()))
	c := v.roster.peers.Value(r.Of.ID).claim
	overtaken := r.Outcome == NobodyListens && !r.Of.Recorded && c != nil && c.incarnation != r.Of.Incarnation && c.heard > r.Of.Asked
	m := v.memberOrGone(r.Of.ID)
	if m.ID == 0 || !late && !overtaken {
		return false
	}
	v.trace("looks again for %s: the answer to its probe is outdated", m.Name)
	r.Of.Timeout, r.Of.Asked = v.probeTimeout(), v.now
	v.emit(r.Of)
	return true
}

// certified notes that a member's process has ended. It reports whether that is news of
// the process that counts.
func (v *verdicts) certified(c Certificate) bool {
	if c.ID == 0 || c.ID == v.cfg.ID || c.Incarnation == 0 {
		return false
	}
	m, ok := v.ring.Member(c.ID)
	if known := v.memberOrGone(c.ID); known.ID != 0 && c.Name != known.Name {
		v.trace("a certificate for member %d names %q, it is %s: no monitor of this ring wrote that", c.ID, c.Name, known.Name)
		return false
	}
	if p := v.promises.promise; p.to == c.ID && p.Incarnation == c.Incarnation {
		v.promises.voidFor(c)
	}
	if ok || v.needed(c.ID) {
		v.identity.retire(c.ID, c.Incarnation, true)
	}
	if !ok || c.Incarnation != v.identity.holder(m) {
		return false // it was started again since, or never was the member
	}
	p := v.roster.peers.Ensure(c.ID)
	if k, ok := v.identity.claimed(c.ID); ok {
		// It was started again, and speaks already. But a copy may speak too, so the
		// certificate alone lets nobody in.
		p.quiet = v.now.Add(max(v.ring.Settings.Lease(), v.promises.bound))
		v.identity.question(m, k, v.identity.holder(m))
	}
	if p.cert != nil {
		return false
	}
	p.cert = &c
	v.roster.suspicionChanges++
	v.promises.voidFor(c)
	v.trace("%s is certified dead: %s", m.Name, c.Exit)
	v.emit(SuspicionChanged{Certificate: &c, Why: c.Exit})
	if !v.leads() && v.raftLead != 0 && v.raftLead != c.ID {
		v.send(Message{To: v.raftLead, Certificate: &c})
	}
	return true
}

// evidence reports whether this leader may evict a member, and why. Nothing is
// held against a recorded process while another one speaks for the member.
func (v *verdicts) evidence(m ring.Member) (ring.Evict, bool) {
	e, ok := v.against(m)
	return e, ok && !v.identity.spokenFor(m)
}

// against reports whether the process that the ring has recorded is gone as far
// as this leader can find out. A leader that stood still may have slept through what
// the member said. So it gives the member a lease to say it again, unless its end is
// certified.
func (v *verdicts) against(m ring.Member) (ring.Evict, bool) {
	e, ok := v.found(m)
	again := v.roster.resumed.Add(v.ring.Settings.Lease())
	return e, ok && (e.Evidence == ring.Certified || v.roster.resumed == 0 || !v.before(again))
}

// found returns what speaks for the end of the recorded process, and whether that is
// enough: it is certified dead; or it is suspected, and this
// leader's own probe, or a lease of silence towards this leader, confirms that.
func (v *verdicts) found(m ring.Member) (ring.Evict, bool) {
	e := ring.Evict{ID: m.ID, Incarnation: m.Incarnation}
	held := v.roster.verdict(m.ID)
	if !held.dead() {
		e.Evidence, e.By = ring.Silent, v.cfg.ID
		return e, v.silentToAll(m.ID)
	}
	e.Evidence, e.By = held.proof, held.by
	if held.proof != "" {
		return e, true
	}
	// A leader whose watcher testified and that answers this member no more than
	// the watcher was looked for by two.
	e.Evidence = ring.Silent
	p := v.roster.peers.Get(m.ID)
	testified := p.suspect.Grant() != 0 && m.ID == v.ring.LeaderID && v.roster.checkedSilent(m.ID)
	// A follower of a leader hears from it all the time; a lease of silence
	// is worth a probe.
	return e, testified || p.heard != 0 && m.ID == v.ring.LeaderID && v.now >= p.heard.Add(v.ring.Settings.Lease())
}

// verdict is what this member holds against another one's process.
type verdict struct {
	// evidence is why it is thought dead, "" if nothing speaks against the member; by is
	// the member that says so, 0 if its own monitor certifies it.
	evidence ring.Evidence
	by       uint64
	// incarnation is the process that it is about, term the one in which it was said.
	incarnation, term uint64
	// proof is what this member's own probe found, or the certificate; "" if it has
	// neither.
	proof ring.Evidence
}

// dead reports whether anything speaks against the member.
func (v verdict) dead() bool { return v.evidence != "" }

// certified reports whether the process has ended for certain.
func (v verdict) certified() bool { return v.evidence == ring.Certified }

// verdict is what everybody asks who has to know whether a member is dead. A leader
// that wants to evict it asks for more: see verdicts.evidence.
func (r *roster) verdict(id uint64) verdict {
	p := r.peers.Get(id)
	if p == nil || p.cert == nil && p.suspect == nil {
		return verdict{}
	}
	if p.cert != nil {
		return verdict{evidence: ring.Certified, incarnation: p.cert.Incarnation, proof: ring.Certified}
	}
	s := p.suspect
	v := verdict{evidence: s.Evidence(), by: s.By, incarnation: s.Incarnation, term: s.Term}
	if r.confirmed(s) {
		v.proof = s.found
	}
	return v
}

// lost reports whether a member is thought dead, and for a leader, in the term that it
// leads: what was said of an earlier one may be old.
func (r *roster) lost(id uint64) bool {
	v := r.verdict(id)
	return v.certified() || v.dead() && (id != r.ring.LeaderID || v.term == r.ring.Term)
}

// confirmed reports whether this member's own probe of a suspect failed, and
// nothing was heard since. That ages as a suspicion does: a leader that was cut
// off has to look again when it is back.
func (r *roster) confirmed(s *suspect) bool {
	return s.found != "" && r.peers.Value(s.ID).lastWord() <= s.probing && r.now < s.probing.Add(r.probeTimeout()).Add(r.ring.Settings.SuspicionLasts())
}
