package election

import (
	"cmp"
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
	silence time.Duration
	// verdict is why it is lost, and of which process that is said, 0 if not known.
	verdict

	// 0 while it has not come to that.
	freed, campaign, elected, declared Instant
}

// lossNoticed takes down that the newest leadership is lost, the first time.
func (r *recorder) lossNoticed() {
	if r.loss.token == r.ring.Term || len(r.ring.History) == 0 {
		return
	}
	r.loss = loss{token: r.ring.Term, at: r.now, verdict: r.lossVerdict(r.ring.LeaderID)}
	if heard := r.roster.peers.Value(r.ring.LeaderID).heard; heard != 0 && r.loss.evidence == ring.Silent {
		r.loss.silence = r.now.Sub(heard)
	}
	if r.loss.evidence == ring.Unanswered {
		r.loss.at = r.lastClaim.proven // a leader knows when its own claim ends
	}
}

// lossVerdict is why the member does not lead any more.
func (r *recorder) lossVerdict(id uint64) verdict {
	v, own := r.roster.verdict(id), r.ownLoss()
	switch {
	case v.dead(), id == 0, id == r.cfg.ID && own == "":
		return v // of id 0 nothing: it was evicted before, and the ring remembers why
	case id == r.cfg.ID:
		return verdict{evidence: own, by: r.cfg.ID}
	default:
		return verdict{evidence: ring.Silent, by: r.cfg.ID}
	}
}

// lossOver takes it back: the leader of the term is heard.
func (r *recorder) lossOver(term uint64) {
	if !r.leads() && r.loss.token == term {
		r.loss = loss{}
	}
}

// lossUnexplained finds another reason for a loss, since what somebody had against the
// leader was wrong.
func (r *recorder) lossUnexplained(id, by uint64) {
	l := &r.loss
	if r.leads() {
		l = &r.led
	}
	if id == r.ring.LeaderID && l.token == r.ring.Term && l.by == by && !l.certified() {
		if l.verdict = r.lossVerdict(id); l.certified() {
			// It came after the loss: a gap that is measured from it would begin too early.
			l.verdict = verdict{evidence: ring.Silent, by: r.cfg.ID}
		}
	}
}

// takeoverAsked takes down that the leader itself, or a caretaker, asks this
// member to lead.
func (r *recorder) takeoverAsked() {
	if r.loss.token != r.ring.Term && len(r.ring.History) > 0 {
		r.loss = loss{token: r.ring.Term, at: r.now}
		if r.ring.LeaderID == r.cfg.ID {
			r.loss.verdict = r.lossVerdict(r.cfg.ID)
		}
	}
	r.lossFreed()
	r.lossCampaign()
}

// lossFreed takes down when this member's own promise was over.
func (r *recorder) lossFreed() {
	ended := max(r.promises.promise.until, r.promises.waitUntil, r.loss.at)
	r.loss.freed = cmp.Or(r.loss.freed, min(ended, r.now))
}

// lossCampaign takes down when this member first asked for votes.
func (r *recorder) lossCampaign() { r.loss.campaign = cmp.Or(r.loss.campaign, r.now) }

// explain puts into a declaration what is known of the leadership before it.
// The leader before this one was after.
func (r *recorder) explain(d *ring.Declare, after uint64) {
	l := &r.led
	if l.token == 0 || l.token != r.ring.Term {
		*l = loss{} // somebody else declared meanwhile, or nobody ever led
		return
	}
	d.Phases = l.phases()
	// Where it noticed the silence by itself, a monitor may have seen it meanwhile.
	if v := r.roster.verdict(after); l.evidence == ring.Silent && l.by == r.cfg.ID && r.roster.lost(after) && !v.certified() {
		l.by = v.by
	}
	d.Evidence, d.By = l.evidence, l.by
	// Somebody may know better by now, or have known better then. The entry tells
	// one story: the better word stands for the eviction and for the history.
	for i := range d.Evict {
		e := &d.Evict[i]
		switch {
		case e.ID != after:
		case strength(e.Evidence) > strength(d.Evidence):
			d.Evidence, d.By = e.Evidence, e.By
		case strength(e.Evidence) < strength(d.Evidence) && e.Incarnation == l.incarnation,
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
