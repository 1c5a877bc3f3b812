package election

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/arc-ring/arc/ring"
)

// takeover is what the asker knows of a member's answers.
type takeover struct {
	of      uint64
	began   Instant
	nextAsk Instant
	// ableAt is when it said that it is able, 0 if it did not.
	ableAt Instant
	// answer is the newest that was not able, answerAt when the first one came.
	answer   *Takeover
	answerAt Instant
}

// caretaking is a winner's care for the heir that is somebody else.
type caretaking struct {
	heir    uint64
	since   Instant // 0 until the log says for certain who the heir is
	nextTry Instant
}

// unanswered is a probe of an heir that failed: when it began, and which
// process it was for. It says nothing of a newer one.
type unanswered struct {
	at          Instant
	incarnation uint64
}

// caretaker looks after the heir, where that is somebody else than the winner.
type caretaker struct {
	*leadership
	identity  *identity
	offers    *offers
	proposals *proposals
	// triedHeirs were told by this caretaker to take over, once or more, unable are those
	// that did not lead then, or could not. Both are empty once a leader is
	// declared.
	triedHeirs, unable []uint64
}

// probedAhead bounds how many heirs a caretaker probes at the same time.
const probedAhead = 4

// takeCare hands the leadership to the heir, whom the raft election passed
// over, or finds out that it is dead.
func (ct *caretaker) takeCare(heir ring.Member, dead []uint64) {
	l := ct.lead
	c := &l.caretaking
	if c.heir != heir.ID {
		*c = caretaking{heir: heir.ID}
		ct.trace("caretaker for %s", heir.Name)
	}
	l.why = fmt.Sprintf("the heir is %s", heir.Name)
	ct.probeCandidates(dead)
	able := ct.askTakeover(heir.ID)
	if t, known := ct.termAt(ct.applied); !known || t != ct.term {
		// An appointment may be in the log: who the heir is, is known only when
		// an entry of the own term is applied.
		return
	}
	c.since = cmp.Or(c.since, ct.now)
	if slices.Contains(ct.unable, heir.ID) {
		ct.passOver(heir, "did not take over when it was asked to")
		return
	}
	if !ct.before(ct.passedOverAt(c.since)) {
		ct.passOver(heir, ct.unableBecause(heir))
		return
	}
	if len(ct.proposals.open) > 0 {
		return // raft takes none while it transfers; their fate comes back here
	}
	if !able || !ct.isVoter(heir.ID) || !ct.dueEvery(&c.nextTry, max(2*ct.ring.Settings.Stagger(), ct.tickEvery())) {
		return
	}
	ct.triedHeirs = append(ct.triedHeirs, heir.ID)
	ct.transfer(heir.ID)
}

// passOver lets somebody else than the heir lead, by an appointment: the heir
// answers, so it is not evicted, but it cannot take over. This member comes
// first, since it has just won a majority.
func (ct *caretaker) passOver(heir ring.Member, why string) {
	key := proposalKey{kind: "appoint"}
	if ct.proposals.underWay(key) {
		return
	}
	if !slices.Contains(ct.unable, heir.ID) {
		ct.unable = append(ct.unable, heir.ID)
	}
	to := ct.cfg.ID
	if me, ok := ct.ring.Member(ct.cfg.ID); !ok || me.Witness {
		next := ct.ring.Succession(ct.unable...)
		if len(next) == 0 {
			ct.unable = nil // all of them once more
			ct.lead.caretaking = caretaking{}
			return
		}
		to = next[0]
	}
	ct.abortTransfer()
	ct.trace("passes %s over: it %s", heir.Name, why)
	ct.proposals.proposeOnce(key, ring.Command{Appoint: &ring.Appoint{To: to, Why: heir.Name + " " + why}})
}

// probeCandidates probes those who must lead before this member, several at once: if
// the leader and its heir died together, that costs one wait.
func (ct *caretaker) probeCandidates(dead []uint64) {
	l := ct.lead
	for i, id := range ct.ring.Succession(dead...) {
		m, ok := ct.ring.Member(id)
		if !ok || id == ct.cfg.ID || i >= probedAhead {
			return
		}
		if f := l.followers.Ensure(id); ct.dueEvery(&f.nextProbe, 2*ct.probeTimeout()) {
			ct.emit(ct.identity.probeOf(m))
		}
	}
}

// heirProbed takes the caretaker's probe of who must lead before it.
func (ct *caretaker) heirProbed(r ProbeResult) {
	f := ct.lead.followers.Get(r.Of.ID)
	switch {
	case f == nil || f.nextProbe == 0:
	case r.found():
		f.noAnswer = unanswered{}
	case r.Outcome == Unanswered:
		f.noAnswer = unanswered{min(r.Of.Asked, ct.now.Add(-ct.probeTimeout())), r.Of.Incarnation} // strangers answer at once
	default:
		f.noAnswer = unanswered{r.Of.Asked, r.Of.Incarnation}
	}
}

// takeoverAnswered takes a member's answer.
func (ct *caretaker) takeoverAnswered(from uint64, t Takeover) {
	if !ct.leads() || t.Term != ct.term {
		return
	}
	if t.Able {
		ct.handsOnTo(from)
	}
	if ct.lead.takeover.of != from {
		return
	}
	if t.Able {
		ct.lead.takeover.ableAt = ct.now
		return
	}
	if ct.lead.takeover.answer == nil {
		ct.lead.takeover.answerAt = ct.now
	}
	ct.lead.takeover.answer = &t
}

// askTakeover asks a member until it is able. It reports whether it is.
func (ct *caretaker) askTakeover(id uint64) bool {
	t := &ct.lead.takeover
	if t.of != id || t.ableAt != 0 && ct.now >= t.ableAt.Add(ct.offers.offerLasts()) {
		*t = takeover{of: id, began: ct.now, nextAsk: ct.now}
	}
	if t.ableAt != 0 {
		return true
	}
	if ct.dueEvery(&t.nextAsk, ct.ring.Settings.Stagger()) {
		ct.send(Message{To: id, Takeover: &Takeover{Term: ct.term}})
	}
	return false
}

// passedOverAt is when the caretaker goes on without an heir for whom it began
// to wait at since: as late as for a dead one. An heir that says that it is not
// able gets half of that from then on. It has asked the voters, and has had no
// answers for so long.
func (ct *caretaker) passedOverAt(since Instant) Instant {
	end := since.Add(ct.probeTimeout())
	if t := ct.lead.takeover; t.ableAt == 0 && t.answer != nil {
		end = min(end, t.answerAt.Add(ct.probeTimeout()/2))
	}
	return end
}

// unableBecause says why a member does not lead, for the history and for the
// operator.
func (ct *caretaker) unableBecause(m ring.Member) string {
	t := ct.lead.takeover
	switch a := t.answer; {
	case t.of != m.ID:
		return "did not take over"
	case t.ableAt != 0:
		return "was able to lead, but did not take over in time"
	case a == nil:
		return "does not answer when it is asked to lead"
	case a.Lapsed:
		return "cannot lead: it could not keep its lease"
	case a.Stuck:
		return "cannot lead: its disk does not finish a write"
	default:
		return fmt.Sprintf("cannot lead: it reaches %d of %d voters", a.Reached, len(ct.conf.GetVoters()))
	}
}
