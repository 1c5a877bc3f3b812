package election

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

// voters brings raft's configuration to what the ring asks for.
type voters struct {
	*leadership
	identity  *identity
	proposals *proposals
	renewal   *renewal
}

// reconcile brings raft's configuration to what the committed ring asks for,
// in one change at a time: members that are gone are removed, new ones come in
// as learners, and learners that have caught up replace missing voters. Two
// changes in flight would make raft drop the second silently.
func (v *voters) reconcile() {
	l := v.lead
	if l == nil || v.transferee != 0 || !v.roster.inTouch() || v.ring.RingID == "" || len(v.conf.GetVotersOutgoing()) > 0 || v.unappliedConf() {
		return
	}
	if v.writing() && !v.declared() {
		// A change is applied once the own disk has it, and so is all that comes
		// after it. A declaration, which the disks of the others commit, must not
		// wait for that. The end of the write comes back here.
		return
	}
	if end := l.declared.Add(durations.ReconfigureDelay); l.after != 0 && l.declared != 0 && v.now < end && v.roster.bearsAnotherDeath() {
		v.wakeAt(end)
		return
	}
	if v.wantsSeal() {
		v.proposals.proposeOnce(proposalKey{kind: "seal"}, ring.Command{Seal: &ring.Seal{Voters: v.conf.GetVoters()}})
	}
	var changes []*raftpb.ConfChangeSingle
	change := func(t raftpb.ConfChangeType, id uint64) {
		changes = append(changes, &raftpb.ConfChangeSingle{Type: t.Enum(), NodeId: new(id)})
	}
	want := v.wantedVoters()
	if v.dropped != 0 {
		// Through the log what was done ahead of it.
		change(raftpb.ConfChangeRemoveNode, v.dropped)
	}
	for _, id := range v.conf.GetVoters() {
		if _, ok := v.ring.Member(id); !ok && id != v.cfg.ID {
			change(raftpb.ConfChangeRemoveNode, id)
		}
	}
	for _, id := range v.conf.GetLearners() {
		if _, ok := v.ring.Member(id); !ok {
			change(raftpb.ConfChangeRemoveNode, id)
		}
	}
	var promoted int
	recorded := v.countsTheRecorded()
	for _, m := range v.ring.Members {
		voter, learner := slices.Contains(v.conf.GetVoters(), m.ID), slices.Contains(v.conf.GetLearners(), m.ID)
		wanted := slices.Contains(want, m.ID)
		switch {
		case m.ID == v.dropped:
		case !voter && !learner:
			change(raftpb.ConfChangeAddLearnerNode, m.ID)
		case learner && wanted && recorded && v.caughtUp(m.ID) && v.renewal.bound(m.ID) && v.roster.thoughtAlive(m.ID):
			change(raftpb.ConfChangeAddNode, m.ID)
			promoted++
		}
	}
	// Surplus voters step back only when those who replace them are there, and not
	// before somebody is declared: one of them may be who has seen the last claim.
	surplus := promoted - int(v.ring.Settings.MaxVoters)
	for _, id := range v.conf.GetVoters() {
		if _, ok := v.ring.Member(id); ok && id != v.dropped {
			surplus++
		}
	}
	for i := len(v.conf.GetVoters()) - 1; i >= 0 && surplus > 0 && v.declared(); i-- {
		id := v.conf.GetVoters()[i]
		if _, ok := v.ring.Member(id); ok && !slices.Contains(want, id) && id != v.cfg.ID {
			change(raftpb.ConfChangeAddLearnerNode, id)
			surplus--
		}
	}
	if !v.keepsQuorum(changes) {
		// Voters stay. But newcomers get the log: they may be the majority that
		// is missing, or the only ones who can watch the dead.
		changes = slices.DeleteFunc(changes, func(c *raftpb.ConfChangeSingle) bool {
			return c.GetType() == raftpb.ConfChangeAddNode || slices.Contains(v.conf.GetVoters(), c.GetNodeId())
		})
	}
	if len(changes) == 0 {
		return
	}
	cc := &raftpb.ConfChangeV2{Changes: changes}
	if err := v.appendChange(cc); err != nil {
		v.trace("configuration change is put off: %v", err)
		return
	}
	v.trace("proposes %d configuration changes", len(changes))
}

// countsTheRecorded reports whether the ring has recorded both processes of a pair,
// this one (unless it has left the ring) and the one that it counts. A third voter would count that one, and a
// majority of the two would not need this member.
func (v *voters) countsTheRecorded() bool {
	me, member := v.ring.Member(v.cfg.ID)
	return !v.everyMajorityNeedsMe() || (!member || me.Incarnation == v.cfg.Incarnation) && !slices.ContainsFunc(v.otherVoters(), func(id uint64) bool {
		m, ok := v.ring.Member(id)
		return ok && v.identity.holder(m) != m.Incarnation
	})
}

// keepsQuorum reports whether the configuration after the changes has a majority
// that has answered since the ring changed: a voter may have died a moment ago, and
// the one that leaves may be needed for the next majority. If it has none, others have
// to be evicted in the same change first: removing a living member one by one could
// leave a majority of dead.
func (v *voters) keepsQuorum(changes []*raftpb.ConfChangeSingle) bool {
	voters := slices.Clone(v.conf.GetVoters())
	for _, c := range changes {
		voters = slices.DeleteFunc(voters, func(id uint64) bool { return id == c.GetNodeId() })
		if c.GetType() == raftpb.ConfChangeAddNode {
			voters = append(voters, c.GetNodeId())
		}
	}
	alive := 0
	v.progress(func(id uint64, _ bool, pr tracker.Progress) {
		if slices.Contains(voters, id) && (id == v.cfg.ID || pr.RecentActive && pr.Match >= v.lead.ringAt && v.roster.thoughtAlive(id)) {
			alive++
		}
	})
	return alive > len(voters)/2
}

func removeNode(id uint64) *raftpb.ConfChangeV2 {
	return &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{{Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: new(id)}}}
}
