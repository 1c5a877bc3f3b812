package election

import (
	"time"

	"github.com/arc-ring/arc/ring"
)

// forgetEvery bounds how often a leader looks for former members that have been
// listed for long enough.
const forgetEvery = 10 * time.Second

// requireRule raises the log version that every member has to read as soon as all
// of them do.
func (n *Node) requireRule() {
	if v := n.ring.ReadableByAll(); v > n.ring.LogVersion && n.lead.handover == nil {
		n.proposeOnce(proposalKey{kind: "require"}, ring.Command{Require: &ring.Require{LogVersion: v}})
	}
}

// forgetTimers lets the declared leader drop former members from the list when
// the settings say so. The wall clock decides: a wrong one costs a line of
// status. A leader wakes often enough by itself.
func (n *Node) forgetTimers() {
	l := n.lead
	if n.now < l.nextForget {
		return
	}
	l.nextForget = n.now.Add(min(max(n.ring.Settings.ForgetAfter()/10, time.Second), forgetEvery))
	if len(n.ring.Departed) == 0 || l.handover != nil {
		return
	}
	if ids := n.ring.Forgettable(n.cfg.Wall()); len(ids) > 0 {
		n.proposeOnce(proposalKey{kind: "forget"}, ring.Command{Forget: &ring.Forget{IDs: ids}})
	}
}
