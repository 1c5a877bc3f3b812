package election

import (
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

// requireRule raises the log version that every member has to read as soon as all
// of them do.
func (q *requests) requireRule() {
	if v := q.ring.ReadableByAll(); v > q.ring.LogVersion && q.lead.handover == nil {
		q.proposals.proposeOnce(proposalKey{kind: "require"}, ring.Command{Require: &ring.Require{LogVersion: v}})
	}
}

// forgetRule lets the declared leader drop former members from the list when
// the settings say so. The wall clock decides: a wrong one costs a line of
// status. A leader wakes often enough by itself.
func (q *requests) forgetRule() {
	l := q.lead
	if q.now < l.nextForget {
		return
	}
	l.nextForget = q.now.Add(min(max(q.ring.Settings.ForgetAfter()/10, time.Second), durations.ForgetCheck))
	if ids := q.ring.Forgettable(q.cfg.Wall()); len(ids) > 0 && l.handover == nil {
		q.proposals.proposeOnce(proposalKey{kind: "forget"}, ring.Command{Forget: &ring.Forget{IDs: ids}})
	}
}
