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

// owed is an answer that a member owes the leader.
type owed struct {
	id uint64
	// since is when the oldest question without an answer was asked.
	since Instant
	// asked is when a sign of life was last asked for; inspectAt is when
	// somebody else is asked to probe the member next.
	asked, inspectAt Instant
}

// inspection is a probe that this member makes because by, the leader, asked.
type inspection struct {
	incarnation, by uint64
	began           Instant
}

// MonitorRuns says whether this member's own monitor does its work. While it
// does not, the leader is told that the successor is unwatched.
func (n *Node) MonitorRuns(now Instant, runs bool) {
	n.step(now, func() {
		if n.unwatched == runs {
			n.unwatched = !runs
			n.unwatchedTold = -Never / 2
		}
	})
}

// unwatchedRule has the leader watch this member's successor while the own
// monitor does not run. A leader's successors see by themselves that it is
// silent: its promises end.
func (n *Node) unwatchedRule() {
	next, ok := n.ring.Successor(n.cfg.ID)
	if !n.unwatched || !ok || n.raftLead == 0 || next.ID == n.raftLead {
		return
	}
	every, _ := n.ring.Settings.Link(false)
	if n.now >= n.unwatchedTold.Add(every) {
		n.unwatchedTold = n.now
		if n.lead != nil {
			n.askForLife(next.ID)
		} else {
			n.send(Message{To: n.raftLead, Unwatched: &Unwatched{}})
		}
	}
	n.wakeAt(n.unwatchedTold.Add(every))
}

// unwatchedBy takes a member's word that its successor is unwatched.
func (n *Node) unwatchedBy(id uint64) {
	if next, ok := n.ring.Successor(id); ok && n.lead != nil && next.ID != n.cfg.ID {
		n.askForLife(next.ID)
	}
}

// askForLife asks a member for an answer, unless it owes one.
func (n *Node) askForLife(id uint64) {
	if n.owe(id) {
		n.send(Message{To: id, Check: &Check{}})
	}
}

// owe notes that a member was asked something that it has to answer; false if
// it owes an answer already.
func (n *Node) owe(id uint64) bool {
	if n.lead == nil || slices.ContainsFunc(n.lead.owed, func(o owed) bool { return o.id == id }) {
		return false
	}
	n.lead.owed = append(n.lead.owed, owed{id: id, since: n.now, asked: n.now})
	return true
}

// answered notes that a member said something.
func (n *Node) answered(id uint64) {
	if n.lead != nil && len(n.lead.owed) > 0 {
		n.lead.owed = slices.DeleteFunc(n.lead.owed, func(o owed) bool { return o.id == id })
	}
}

// owedRule lets the declared leader act on answers that are owed for too long.
func (n *Node) owedRule() {
	l := n.lead
	if len(l.owed) == 0 || !n.inTouch() {
		return // a leader that is cut off hears nobody, and evicts nobody
	}
	l.owed = slices.DeleteFunc(l.owed, func(o owed) bool {
		_, member := n.ring.Member(o.id)
		return !member
	})
	every, _ := n.ring.Settings.Link(false)
	for i := range l.owed {
		o := &l.owed[i]
		if n.peers.Value(o.id).cert != nil {
			continue
		}
		// One question may be lost, or the stream may have had to be opened again.
		if n.now >= o.asked.Add(every) {
			o.asked = n.now
			n.send(Message{To: o.id, Check: &Check{}})
		}
		n.wakeAt(o.asked.Add(every))
		o.inspectAt = max(o.inspectAt, o.since.Add(n.ring.Settings.Detection(false)))
		if n.now >= o.inspectAt {
			o.inspectAt = n.now.Add(2 * n.probeTimeout())
			n.askToInspect(o.id)
		}
		n.wakeAt(o.inspectAt)
	}
}

// askToInspect asks the nearest living predecessor of a silent member to probe it.
func (n *Node) askToInspect(id uint64) {
	m, _ := n.ring.Member(id)
	before := n.ring.Successors(id)
	for _, by := range slices.Backward(before) {
		if by.ID != n.cfg.ID && !n.maybeDead(by.ID) {
			n.trace("%s owes an answer: %s is asked to probe it", m.Name, by.Name)
			n.send(Message{To: by.ID, Inspect: &Inspect{ID: id, Incarnation: m.Incarnation}})
			return
		}
	}
	n.suspicion(Suspicion{ID: id, Incarnation: m.Incarnation, Term: n.ring.Term, Evidence: ring.Silent, By: n.cfg.ID})
}

// maybeDead reports whether a member is dead as far as the leader knows, or may
// be.
func (n *Node) maybeDead(id uint64) bool {
	if !n.thoughtAlive(id) {
		return true
	}
	patience := n.ring.Settings.Detection(false)
	return slices.ContainsFunc(n.lead.owed, func(o owed) bool { return o.id == id && n.now >= o.since.Add(patience) })
}

// inspect probes a member for the leader that asked, unless it does so already.
func (n *Node) inspect(by uint64, x Inspect) {
	m, ok := n.ring.Member(x.ID)
	if !ok || x.ID == n.cfg.ID || n.lead != nil {
		return
	}
	p := n.peers.Ensure(x.ID)
	if old := p.inspection; old != nil && old.incarnation == m.Incarnation && n.now < old.began.Add(n.probeTimeout()) {
		old.by = by
		return
	}
	p.inspection = &inspection{incarnation: m.Incarnation, by: by, began: n.now}
	n.emit(n.probeOf(m))
}

// inspected tells the leader what the probe that it asked for has found.
func (n *Node) inspected(r ProbeResult) {
	p := n.peers.Ensure(r.ID)
	x := p.inspection
	if x == nil || x.incarnation != r.Incarnation {
		return
	}
	p.inspection = nil
	s := Suspicion{ID: r.ID, Incarnation: r.Incarnation, Term: n.ring.Term, By: n.cfg.ID}
	if r.found() || r.Outcome == Unanswered && p.heard.at > r.Asked {
		s.Cleared = true
	} else {
		s.Evidence = r.evidence()
	}
	n.send(Message{To: x.by, Suspicion: &s})
}

// deferInspection notes that the member who was asked reaches the silent one. The
// leader asks again after twice as long as it takes to form an opinion.
func (n *Node) deferInspection(id uint64) {
	if n.lead == nil {
		return
	}
	for i := range n.lead.owed {
		if o := &n.lead.owed[i]; o.id == id {
			o.inspectAt = n.now.Add(2 * n.ring.Settings.Detection(false))
		}
	}
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
