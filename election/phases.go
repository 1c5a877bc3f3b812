package election

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/ring"
)

// loss is what a member knows of the end of the newest leadership, and when it
// did what about it. Nothing is decided by it: it explains the failover in the
// history.
type loss struct {
	// token of the leadership that is lost; 0 if none is known to be.
	token uint64
	// at is when this member learned of it.
	at Instant
	// silence is for how long the leader had not been heard by then.
	silence  time.Duration
	evidence ring.Evidence
	by       uint64
	// incarnation is the process that the evidence is about, 0 if not known.
	incarnation uint64

	// 0 while it has not come to that.
	freed, campaign, elected, declared Instant
}

// lossNoticed takes down that the newest leadership is lost, the first time.
func (n *Node) lossNoticed() {
	if n.loss.token == n.ring.Term || len(n.ring.History) == 0 {
		return
	}
	n.loss = loss{token: n.ring.Term, at: n.now}
	n.loss.evidence, n.loss.by, n.loss.incarnation = n.lossEvidence(n.ring.LeaderID)
	if heard := n.peers.Value(n.ring.LeaderID).heard; heard.set && n.loss.evidence == ring.Silent {
		n.loss.silence = n.now.Sub(heard.at)
	}
	if n.loss.evidence == ring.Unanswered {
		n.loss.at = n.lastClaim.proven // a leader knows when its own claim ends
	}
}

// lossEvidence is why the member is thought dead, who says so, and of which
// process.
func (n *Node) lossEvidence(id uint64) (why ring.Evidence, by, incarnation uint64) {
	p := n.peers.Value(id)
	if c := p.cert; c != nil {
		return ring.Certified, 0, c.Incarnation
	}
	if s := p.suspect; s != nil {
		return s.Evidence, s.By, s.Incarnation
	}
	if id == n.cfg.ID {
		if own := n.ownLoss(); own != "" {
			return own, n.cfg.ID, 0
		}
		return "", 0, 0
	}
	if id == 0 {
		return "", 0, 0 // the predecessor was evicted before: the ring remembers why
	}
	return ring.Silent, n.cfg.ID, 0
}

// lossOver takes it back: the leader of the term is heard.
func (n *Node) lossOver(term uint64) {
	if n.lead == nil && n.loss.token == term {
		n.loss = loss{}
	}
}

// lossUnexplained finds another reason for a loss, since what somebody had against the
// leader was wrong.
func (n *Node) lossUnexplained(id, by uint64) {
	l := &n.loss
	if n.lead != nil {
		l = &n.lead.loss
	}
	if id == n.ring.LeaderID && l.token == n.ring.Term && l.by == by && l.evidence != ring.Certified {
		l.evidence, l.by, l.incarnation = n.lossEvidence(id)
		if l.evidence == ring.Certified {
			// It came after the loss: a gap that is measured from it would begin too early.
			l.evidence, l.by, l.incarnation = ring.Silent, n.cfg.ID, 0
		}
	}
}

// takeoverAsked takes down that the leader itself, or a caretaker, asks this
// member to lead.
func (n *Node) takeoverAsked() {
	if n.loss.token != n.ring.Term && len(n.ring.History) > 0 {
		n.loss = loss{token: n.ring.Term, at: n.now}
		if n.ring.LeaderID == n.cfg.ID {
			n.loss.evidence, n.loss.by, n.loss.incarnation = n.lossEvidence(n.cfg.ID)
		}
	}
	n.lossFreed()
	n.lossCampaign()
}

// lossFreed takes down when this member's own promise was over.
func (n *Node) lossFreed() {
	if l := &n.loss; l.freed == 0 {
		l.freed = min(max(n.voter.promise.until, n.voter.waitUntil, l.at), n.now)
	}
}

func (n *Node) lossCampaign() {
	if l := &n.loss; l.campaign == 0 {
		l.campaign = n.now
	}
}

// explained tells whether there is a loss before this leadership to explain.
func (l *leading) explained() bool { return l.loss.token != 0 }

// explain puts into a declaration what is known of the leadership before it.
func (n *Node) explain(d *ring.Declare) {
	l := n.lead
	if !l.explained() || l.loss.token != n.ring.Term {
		l.loss = loss{} // somebody else declared meanwhile, or nobody ever led
		return
	}
	d.Phases = l.loss.phases()
	d.Evidence, d.By = l.loss.evidence, l.loss.by
	// Somebody may know better by now, or have known better then. The entry tells
	// one story: the better word stands for the eviction and for the history.
	for i := range d.Evict {
		e := &d.Evict[i]
		switch {
		case e.ID != l.after:
		case strength(e.Evidence) > strength(d.Evidence):
			d.Evidence, d.By = e.Evidence, e.By
		case strength(e.Evidence) < strength(d.Evidence) && e.Incarnation == l.loss.incarnation,
			e.Evidence == d.Evidence:
			e.Evidence, e.By = d.Evidence, d.By
		}
	}
}

// strength orders evidence: what is certain explains more than what is not.
func strength(e ring.Evidence) int {
	return slices.Index([]ring.Evidence{"", ring.BornAgain, ring.Unanswered, ring.Silent, ring.Reset, ring.Refused, ring.Operator, ring.Replaced, ring.Certified}, e)
}

// phases are the figures as far as they are known.
func (l *loss) phases() ring.Phases {
	since := func(t Instant) int64 {
		if t == 0 {
			return 0
		}
		return t.Sub(l.at).Microseconds()
	}
	return ring.Phases{Detected: l.silence.Microseconds(), PromisesEnded: since(l.freed), Campaign: since(l.campaign),
		Elected: since(l.elected), Declared: since(l.declared)}
}

// firstClaim returns the whole figures at a leadership's first claim, else zero.
// They are told to the others a little later, out of the way of what the
// failover itself still has to do.
func (n *Node) firstClaim() ring.Phases {
	l := n.lead
	if l == nil || l.timed != nil {
		return ring.Phases{}
	}
	var p ring.Phases
	if l.explained() {
		p = l.loss.phases()
		p.FirstClaim = n.now.Sub(l.loss.at).Microseconds()
	}
	l.timed = &ring.Timed{Term: l.term, Declared: p.Declared, FirstClaim: p.FirstClaim}
	if len(n.ring.History) > 1 { // before the first one there was nothing to lead
		l.timed.ClaimAfter = n.now.Sub(l.measured).Microseconds()
	}
	l.tellTimed = n.now.Add(timedAfter)
	n.wakeAt(l.tellTimed)
	return p
}

// timedAfter is how long after the first claim its figures go into the log.
const timedAfter = 20 * time.Millisecond

// timedTimers lets the declared leader tell its figures, once.
func (n *Node) timedTimers() {
	l := n.lead
	if l.timed == nil || l.tellTimed == Never {
		return
	}
	if n.now < l.tellTimed {
		n.wakeAt(l.tellTimed)
		return
	}
	if l.handover == nil && n.propose(proposal{}, ring.Command{Timed: l.timed}) {
		l.tellTimed = Never
		return
	}
	l.tellTimed = n.now.Add(n.ring.Settings.RenewEvery())
	n.wakeAt(l.tellTimed)
}
