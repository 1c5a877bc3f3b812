package election

import "github.com/arc-ring/arc/ring"

// inspection is a probe that this member makes because by, the leader, asked.
type inspection struct {
	incarnation, by uint64
	began           Instant
}

// inspect probes a member for the leader that asked, unless it does so already.
func (v *verdicts) inspect(by uint64, x Inspect) {
	m, ok := v.ring.Member(x.ID)
	if !ok || x.ID == v.cfg.ID || v.leads() {
		return
	}
	p := v.roster.peers.Ensure(x.ID)
	if old := p.inspection; old != nil && old.incarnation == m.Incarnation && v.now < old.began.Add(v.probeTimeout()) {
		old.by = by
		return
	}
	p.inspection = &inspection{incarnation: m.Incarnation, by: by, began: v.now}
	v.emit(v.identity.probeOf(m))
}

// inspected tells the leader what the probe that it asked for has found.
func (v *verdicts) inspected(r ProbeResult) {
	p := v.roster.peers.Ensure(r.Of.ID)
	x := p.inspection
	if x == nil || x.incarnation != r.Of.Incarnation {
		return
	}
	p.inspection = nil
	s := ring.Opinion{ID: r.Of.ID, Incarnation: r.Of.Incarnation, Term: v.ring.Term, By: v.cfg.ID, Word: ring.Clear{}}
	if !r.found() && (r.Outcome != Unanswered || p.heard <= r.Of.Asked) {
		s.Word = ring.Suspect{Evidence: r.evidence()}
	}
	v.send(Message{To: x.by, Opinion: &s})
}
