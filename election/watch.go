package election

import (
	"slices"

	"github.com/arc-ring/arc/ring"
)

// A member is watched by the monitor of its predecessor, and that monitor may
// be missing: stopped, killed, impossible to start. So the leader watches too,
// by what it has anyway. A voter answers every renewal, a learner every
// heartbeat, and a broken stream is known at once. A member that owes an answer
// for as long as an ordinary link tolerates silence is worth a probe.
//
// What the leader does not hear and what its own probe finds are observations
// of one node, and a member that only the leader cannot reach must stay. So the
// leader asks the nearest living predecessor to probe. The answer counts like a
// report of that member's monitor: it is a suspicion, which the leader confirms
// by its own probe. Only where nobody else is left to be asked does the leader's
// own silence stand for the suspicion, as a report of its own monitor would.

// watch is the leader's own look at who owes it an answer.
type watch struct {
	*leadership
	verdicts *verdicts
	// unwatched: the own monitor does not run. The leader is told so again at
	// tellUnwatched.
	unwatched     bool
	tellUnwatched Instant
}

// unwatchedRule has the leader watch this member's successor while the own
// monitor does not run. A leader's successors see by themselves that it is
// silent: its promises end.
func (w *watch) unwatchedRule() {
	next, ok := w.ring.Successor(w.cfg.ID)
	if !w.unwatched || !ok || w.raftLead == 0 || next.ID == w.raftLead {
		return
	}
	every, _ := w.ring.Settings.Link(false)
	switch {
	case !w.dueEvery(&w.tellUnwatched, every):
	case w.leads():
		w.askForLife(next.ID)
	default:
		w.send(Message{To: w.raftLead, Unwatched: &Unwatched{}})
	}
}

// unwatchedBy takes a member's word that its successor is unwatched.
func (w *watch) unwatchedBy(id uint64) {
	if next, ok := w.ring.Successor(id); ok && w.leads() && next.ID != w.cfg.ID {
		w.askForLife(next.ID)
	}
}

// askForLife asks a member for an answer, unless it owes one.
func (w *watch) askForLife(id uint64) {
	if w.roster.owe(id) {
		w.send(Message{To: id, Check: &Check{}})
	}
}

// owedRule lets the declared leader act on answers that are owed for too long.
func (w *watch) owedRule() {
	if len(w.roster.owed) == 0 || !w.roster.inTouch() {
		return // a leader that is cut off hears nobody, and evicts nobody
	}
	w.roster.owed = slices.DeleteFunc(w.roster.owed, func(o owed) bool { return !w.isMember(o.id) })
	every, _ := w.ring.Settings.Link(false)
	for i := range w.roster.owed {
		o := &w.roster.owed[i]
		if w.roster.verdict(o.id).certified() {
			continue
		}
		// One question may be lost, or the stream may have had to be opened again.
		if w.now >= o.asked.Add(every) {
			o.asked = w.now
			w.send(Message{To: o.id, Check: &Check{}})
		}
		w.wakeAt(o.asked.Add(every))
		o.inspectAt = max(o.inspectAt, o.since.Add(w.ring.Settings.Detection(false)))
		if w.dueEvery(&o.inspectAt, 2*w.probeTimeout()) {
			w.askToInspect(o.id)
		}
	}
}

// askToInspect asks the nearest living predecessor of a silent member to probe it.
func (w *watch) askToInspect(id uint64) {
	m, _ := w.ring.Member(id)
	for _, by := range slices.Backward(w.ring.Successors(id)) {
		if by.ID != w.cfg.ID && !w.maybeDead(by.ID) {
			w.trace("%s owes an answer: %s is asked to probe it", m.Name, by.Name)
			w.send(Message{To: by.ID, Inspect: &Inspect{ID: id, Incarnation: m.Incarnation}})
			return
		}
	}
	w.verdicts.suspicion(ring.Opinion{ID: id, Incarnation: m.Incarnation, Term: w.ring.Term, By: w.cfg.ID, Word: ring.Suspect{Evidence: ring.Silent}})
}

// maybeDead reports whether a member is dead as far as the leader knows, or may
// be.
func (w *watch) maybeDead(id uint64) bool {
	owes := func(o owed) bool { return o.id == id && w.now >= o.since.Add(w.ring.Settings.Detection(false)) }
	return !w.roster.thoughtAlive(id) || slices.ContainsFunc(w.roster.owed, owes)
}

// evidence is what a probe that did not reach its member speaks for.
func (r ProbeResult) evidence() ring.Evidence {
	switch r.Outcome {
	case NobodyListens:
		return ring.Refused
	case Unanswered:
		return ring.Silent
	default:
		return ring.Reset // somebody else has its place
	}
}
