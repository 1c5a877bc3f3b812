package election

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/arc-ring/arc/ring"
)

// calm is how long a new leader leaves raft's configuration as it is, if it can
// bear another death meanwhile: first all shall know who leads.
const calm = 10 * time.Millisecond

// reconcile brings raft's configuration to what the committed ring asks for,
// in one change at a time: members that are gone are removed, new ones come in
// as learners, and learners that have caught up replace missing voters. Two
// changes in flight would make raft drop the second silently.
func (n *Node) reconcile() {
	l := n.lead
	if l == nil || n.transferee != 0 || !n.inTouch() || n.ring.RingID == "" || len(n.conf.GetVotersOutgoing()) > 0 || n.unappliedConf() {
		return
	}
	if n.writing() && !n.declared() {
		// A change is applied once the own disk has it, and so is all that comes
		// after it. A declaration, which the disks of the others commit, must not
		// wait for that. The end of the write comes back here.
		return
	}
	if end := l.loss.declared.Add(calm); l.after != 0 && l.loss.declared != 0 && n.now < end && n.bearsAnotherDeath() {
		n.wakeAt(end)
		return
	}
	if n.wantsSeal() {
		n.proposeOnce(proposalKey{kind: "seal"}, ring.Command{Seal: &ring.Seal{Voters: n.conf.GetVoters()}})
	}
	var changes []*raftpb.ConfChangeSingle
	change := func(t raftpb.ConfChangeType, id uint64) {
		changes = append(changes, &raftpb.ConfChangeSingle{Type: t.Enum(), NodeId: new(id)})
	}
	want := n.wantedVoters()
	if n.dropped != 0 {
		// Through the log what was done ahead of it.
		change(raftpb.ConfChangeRemoveNode, n.dropped)
	}
	for _, id := range n.conf.GetVoters() {
		if _, ok := n.ring.Member(id); !ok && id != n.cfg.ID {
			change(raftpb.ConfChangeRemoveNode, id)
		}
	}
	for _, id := range n.conf.GetLearners() {
		if _, ok := n.ring.Member(id); !ok {
			change(raftpb.ConfChangeRemoveNode, id)
		}
	}
	var promoted int
	recorded := n.countsTheRecorded()
	for _, m := range n.ring.Members {
		voter, learner := slices.Contains(n.conf.GetVoters(), m.ID), slices.Contains(n.conf.GetLearners(), m.ID)
		wanted := slices.Contains(want, m.ID)
		switch {
		case m.ID == n.dropped:
		case !voter && !learner:
			change(raftpb.ConfChangeAddLearnerNode, m.ID)
		case learner && wanted && recorded && n.caughtUp(m.ID) && n.bound(m.ID) && n.thoughtAlive(m.ID):
			change(raftpb.ConfChangeAddNode, m.ID)
			promoted++
		}
	}
	// Surplus voters step back only when those who replace them are there, and not
	// before somebody is declared: one of them may be who has seen the last claim.
	surplus := promoted - int(n.ring.Settings.MaxVoters)
	for _, id := range n.conf.GetVoters() {
		if _, ok := n.ring.Member(id); ok && id != n.dropped {
			surplus++
		}
	}
	for i := len(n.conf.GetVoters()) - 1; i >= 0 && surplus > 0 && n.declared(); i-- {
		id := n.conf.GetVoters()[i]
		if _, ok := n.ring.Member(id); ok && !slices.Contains(want, id) && id != n.cfg.ID {
			change(raftpb.ConfChangeAddLearnerNode, id)
			surplus--
		}
	}
	if !n.keepsQuorum(changes) {
		// Who votes stays. But newcomers get the log: they may be the majority that
		// is missing, or the only ones who can watch the dead.
		changes = slices.DeleteFunc(changes, func(c *raftpb.ConfChangeSingle) bool {
			return c.GetType() == raftpb.ConfChangeAddNode || slices.Contains(n.conf.GetVoters(), c.GetNodeId())
		})
	}
	if len(changes) == 0 {
		return
	}
	cc := &raftpb.ConfChangeV2{Changes: changes}
	if err := n.rn.ProposeConfChange(cc); err != nil {
		n.trace("configuration change is put off: %v", err)
		return
	}
	n.trace("proposes %d configuration changes", len(changes))
	n.refresh()
}

// countsTheRecorded reports whether the ring has recorded both processes of a pair,
// this one (unless it has left the ring) and the one that it counts. A third voter would count that one, and a
// majority of the two would not need this member.
func (n *Node) countsTheRecorded() bool {
	me, member := n.ring.Member(n.cfg.ID)
	return !n.everyMajorityNeedsMe() || (!member || me.Incarnation == n.cfg.Incarnation) && !slices.ContainsFunc(n.otherVoters(), func(id uint64) bool {
		m, ok := n.ring.Member(id)
		return ok && n.holder(m) != m.Incarnation
	})
}

// wantsSeal tells whether the present configuration has to be sealed: somebody
// waits to be let go, or the voters are a pair, each of which may have to go on
// alone.
func (n *Node) wantsSeal() bool {
	if n.dropped != 0 {
		return false
	}
	if len(n.conf.GetVoters()) == 2 && !slices.Equal(n.sealed, n.conf.GetVoters()) {
		return true
	}
	for id := range n.gone.All() {
		if !n.inConf(id) {
			return true
		}
	}
	return false
}

// inTouch tells whether a majority of the configuration was heard of within a
// lease and is not thought dead. A leader that is cut off, or whose voters die,
// changes nothing: what it appends then would be committed by its successor.
func (n *Node) inTouch() bool {
	return n.majorityHeard(n.conf.GetVoters()) && (len(n.conf.GetVotersOutgoing()) == 0 || n.majorityHeard(n.conf.GetVotersOutgoing()))
}

func (n *Node) majorityHeard(voters []uint64) bool {
	inTouch := 0
	for _, id := range voters {
		if heard := n.peers.Value(id).heard; id == n.cfg.ID || heard.set && n.now < heard.at.Add(n.ring.Settings.Lease()) && n.thoughtAlive(id) {
			inTouch++
		}
	}
	return inTouch > len(voters)/2
}

// keepsQuorum tells whether the configuration after the changes has a majority
// that has answered since the ring changed: a voter may have died a moment ago, and
// the one that leaves may be needed for the next majority. If it has none, others have
// to be evicted in the same change first: removing a living member one by one could
// leave a majority of dead.
func (n *Node) keepsQuorum(changes []*raftpb.ConfChangeSingle) bool {
	voters := slices.Clone(n.conf.GetVoters())
	for _, c := range changes {
		voters = slices.DeleteFunc(voters, func(id uint64) bool { return id == c.GetNodeId() })
		if c.GetType() == raftpb.ConfChangeAddNode {
			voters = append(voters, c.GetNodeId())
		}
	}
	alive := 0
	n.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if slices.Contains(voters, id) && (id == n.cfg.ID || pr.RecentActive && pr.Match >= n.lead.ringAt && n.thoughtAlive(id)) {
			alive++
		}
	})
	return alive > len(voters)/2
}

// bearsAnotherDeath tells whether the configuration keeps its majority if one
// more voter dies.
func (n *Node) bearsAnotherDeath() bool {
	voters, alive := n.conf.GetVoters(), 0
	for _, id := range voters {
		if !n.ring.Gone(id) && (id == n.cfg.ID || n.thoughtAlive(id)) {
			alive++
		}
	}
	return alive-1 > len(voters)/2
}

// caughtUp tells whether a learner has all but what is under way.
func (n *Node) caughtUp(id uint64) bool {
	ok := false
	n.rn.WithProgress(func(p uint64, _ raft.ProgressType, pr tracker.Progress) {
		if p == id {
			ok = pr.State == tracker.StateReplicate && pr.Match+16 >= n.commit && pr.RecentActive
		}
	})
	return ok
}

func (n *Node) thoughtAlive(id uint64) bool {
	p := n.peers.Value(id)
	return p.suspect == nil && p.cert == nil
}

// unappliedConf tells whether a configuration change may be in the log beyond
// what is applied. A new leader cannot know what its predecessor left there
// before it has applied an entry of its own term.
func (n *Node) unappliedConf() bool {
	if t, known := n.termAt(n.applied); !known || t != n.term {
		return true
	}
	for i, last := n.applied+1, n.lastIndex(); i <= last; i++ {
		if e := n.entry(i); e == nil || e.GetType() != raftpb.EntryNormal {
			return true
		}
	}
	return false
}

func removeNode(id uint64) *raftpb.ConfChangeV2 {
	return &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{{Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: new(id)}}}
}
