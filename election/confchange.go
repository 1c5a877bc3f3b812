package election

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

// reconcile brings raft's configuration to what the committed ring asks for,
// in one change at a time: members that are gone are removed, new ones come in
// as learners, and learners that have caught up replace missing voters. Two
// changes in flight would make raft drop the second silently.
func (ld *leader) reconcile() {
	l := ld.lead
	if ld.transferee != 0 || !ld.roster.inTouch() || ld.ring.RingID == "" || len(ld.conf.GetVotersOutgoing()) > 0 || ld.unappliedConf() {
		return
	}
	if ld.writing() && !ld.declared() {
		// A change is applied once the own disk has it, and so is all that comes
		// after it. A declaration, which the disks of the others commit, must not
		// wait for that. The end of the write comes back here.
		return
	}
	if end := l.declared.Add(durations.ReconfigureDelay); l.after != 0 && l.declared != 0 && ld.roster.bearsAnotherDeath() && ld.before(end) {
		return
	}
	if ld.wantsSeal() {
		ld.proposals.proposeOnce(proposalKey{kind: "seal"}, ring.Command{Seal: &ring.Seal{Voters: ld.conf.GetVoters()}})
	}
	var changes []*raftpb.ConfChangeSingle
	change := func(t raftpb.ConfChangeType, id uint64) {
		changes = append(changes, &raftpb.ConfChangeSingle{Type: t.Enum(), NodeId: new(id)})
	}
	want := ld.wantedVoters()
	if ld.dropped != 0 {
		// Through the log what was done ahead of it.
		change(raftpb.ConfChangeRemoveNode, ld.dropped)
	}
	for _, id := range slices.Concat(ld.conf.GetVoters(), ld.conf.GetLearners()) {
		if !ld.isMember(id) && id != ld.cfg.ID {
			change(raftpb.ConfChangeRemoveNode, id)
		}
	}
	var promoted int
	recorded := ld.countsTheRecorded()
	for _, m := range ld.ring.Members {
		voter, learner := slices.Contains(ld.conf.GetVoters(), m.ID), slices.Contains(ld.conf.GetLearners(), m.ID)
		switch {
		case m.ID == ld.dropped:
		case !voter && !learner:
			change(raftpb.ConfChangeAddLearnerNode, m.ID)
		case learner && slices.Contains(want, m.ID) && recorded && ld.caughtUp(m.ID) && ld.bound(m.ID) && ld.roster.thoughtAlive(m.ID):
			change(raftpb.ConfChangeAddNode, m.ID)
			promoted++
		}
	}
	// Surplus voters step back only when those who replace them are there, and not
	// before somebody is declared: one of them may be who has seen the last claim.
	staying := count(ld.conf.GetVoters(), func(id uint64) bool { return ld.isMember(id) && id != ld.dropped })
	surplus := promoted + staying - int(ld.ring.Settings.MaxVoters)
	for _, id := range slices.Backward(ld.conf.GetVoters()) {
		if surplus > 0 && ld.declared() && ld.isMember(id) && !slices.Contains(want, id) && id != ld.cfg.ID {
			change(raftpb.ConfChangeAddLearnerNode, id)
			surplus--
		}
	}
	if !ld.keepsQuorum(changes) {
		// Voters stay. But newcomers get the log: they may be the majority that
		// is missing, or the only ones who can watch the dead.
		changes = slices.DeleteFunc(changes, func(c *raftpb.ConfChangeSingle) bool {
			return c.GetType() == raftpb.ConfChangeAddNode || slices.Contains(ld.conf.GetVoters(), c.GetNodeId())
		})
	}
	if len(changes) == 0 {
		return
	}
	if err := ld.appendChange(&raftpb.ConfChangeV2{Changes: changes}); err != nil {
		ld.trace("configuration change is put off: %v", err)
		return
	}
	ld.trace("proposes %d configuration changes", len(changes))
}

// countsTheRecorded reports whether the ring has recorded both processes of a pair,
// this one (unless it has left the ring) and the one that it counts. A third voter would count that one, and a
// majority of the two would not need this member.
func (ld *leader) countsTheRecorded() bool {
	me, member := ld.ring.Member(ld.cfg.ID)
	return !ld.everyMajorityNeedsMe() || (!member || me.Incarnation == ld.cfg.Incarnation) && !slices.ContainsFunc(ld.otherVoters(), func(id uint64) bool {
		m, ok := ld.ring.Member(id)
		return ok && ld.identity.holder(m) != m.Incarnation
	})
}

// keepsQuorum reports whether the configuration after the changes has a majority
// that has answered since the ring changed: a voter may have died a moment ago, and
// the one that leaves may be needed for the next majority. If it has none, others have
// to be evicted in the same change first: removing a living member one by one could
// leave a majority of dead.
func (ld *leader) keepsQuorum(changes []*raftpb.ConfChangeSingle) bool {
	voters := slices.Clone(ld.conf.GetVoters())
	for _, c := range changes {
		voters = slices.DeleteFunc(voters, func(id uint64) bool { return id == c.GetNodeId() })
		if c.GetType() == raftpb.ConfChangeAddNode {
			voters = append(voters, c.GetNodeId())
		}
	}
	alive := 0
	ld.progress(func(id uint64, _ bool, pr tracker.Progress) {
		if slices.Contains(voters, id) && (id == ld.cfg.ID || pr.RecentActive && pr.Match >= ld.lead.ringAt && ld.roster.thoughtAlive(id)) {
			alive++
		}
	})
	return alive > len(voters)/2
}
