package election

import (
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// applier carries out what raft wants, and applies what is committed.
type applier struct {
	*leadership
	campaign   *campaign
	identity   *identity
	leader     *leader
	links      *links
	membership *membership
	promises   *promises
	requests   *requests
}

// ready carries out what raft wants. What a member owes to its disk (answers
// to votes and appends, and a candidate's own vote) waits for the Persist; what
// it tells on its own account (appends, heartbeats, votes) leaves at once
// (Ongaro's thesis, 10.2.1). Raft does not wait for a write before it goes on
// (its AsyncStorageWrites), so a slow disk delays only what depends on it.
func (a *applier) ready() {
	for !a.removed && a.canTake() {
		rd := a.take()
		w := &write{began: a.now, hard: rd.HardState, entries: rd.Entries, snapshot: rd.Snapshot}
		a.identity.noteReturns(rd.Entries)
		var apply []*raftpb.Message
		for _, m := range rd.Messages {
			if a.leftOut(m) || m.GetTo() == raft.None { // a heartbeat of nobody wants no answer
				continue
			}
			switch m.GetType() {
			case raftpb.MsgStorageAppend:
				w.after = append(w.after, m.GetResponses()...)
			case raftpb.MsgStorageApply:
				apply = m.GetResponses()
			case raftpb.MsgVote, raftpb.MsgPreVote:
				a.campaign.voteAsked(m)
				a.sendRaft(m)
			case raftpb.MsgApp:
				extend(m, rd.Entries)
				if !a.leader.postponed(m) {
					a.sendRaft(m)
				}
			default:
				a.sendRaft(m)
			}
		}
		if raft.IsEmptyHardState(w.hard) {
			w.hard = nil
		}
		if raft.IsEmptySnap(w.snapshot) {
			w.snapshot = nil
		} else {
			a.identity.noteSnapshot(w.snapshot)
		}
		a.write(w, rd.MustSync)
		for _, e := range rd.CommittedEntries {
			if e.GetIndex() > a.applied && !a.removed { // else it was applied ahead
				a.apply(e)
			}
		}
		for _, m := range apply {
			a.parent.follow(a.stepRaft(m))
		}
	}
	a.applyAhead()
	a.parent.follow(a.refresh())
	a.compact()
}

// write hands a write to the disk.
//
// That a configuration is committed need not be durable before it is used: a
// member that it removes keeps its log until the change is sealed, and every
// later entry of the leader is synced with a commit index that covers it, so
// nobody can win by the old configuration against one that has more: the answers
// to its votes tell it of the new one.
func (a *applier) write(w *write, sync bool) {
	// An answer to a pre-vote promises nothing, so it waits for no disk. But a
	// voter whose disk is stuck could not vote now, and must not promise hope.
	kept, stuck := w.after[:0:0], a.stuck()
	var now []*raftpb.Message
	for _, m := range w.after {
		if m.GetType() == raftpb.MsgPreVoteResp && (m.GetReject() || !stuck) {
			now = append(now, m)
		} else if !a.owesVote(m) {
			kept = append(kept, m)
		}
	}
	w.after = kept
	if w.hard != nil || w.snapshot != nil || len(w.entries) > 0 {
		sync = sync || w.snapshot != nil
		w.seq = a.persist(Persist{HardState: w.hard, Entries: w.entries, Snapshot: w.snapshot, Reset: w.snapshot != nil, Sync: sync})
	} else {
		sync = false
		if len(w.after) == 0 {
			a.answer(now)
			return
		}
		if a.writing() {
			w.seq = a.writes[len(a.writes)-1].seq // what it answers for is under way
		}
	}
	a.answer(now)
	if !sync && !a.writing() { // a commit index alone is not worth waiting for
		a.finish(w)
		return
	}
	a.writes = append(a.writes, w)
}

// applyAhead applies what is committed although this member's own copy is not
// durable yet: a majority's is, and a leader should be known everywhere no later
// than the slowest disk allows. After a crash this member is told again.
// Changes of the configuration wait: raft takes them in the order of its own.
func (a *applier) applyAhead() {
	for !a.removed && a.applied < a.commit {
		e := a.entry(a.applied + 1)
		if e == nil || e.GetType() != raftpb.EntryNormal {
			return
		}
		a.apply(e)
	}
}

// extend lets a new leader's first append carry what was proposed in the same
// step too, its declaration above all. Raft would send that a round trip
// later: until a follower answers it sends one message at a time, and that one
// was made when there was only the empty entry that begins a term. To append
// more of one's own log is what raft's next message would do.
func extend(m *raftpb.Message, entries []*raftpb.Entry) {
	if len(m.Entries) == 0 {
		return
	}
	last := m.Entries[len(m.Entries)-1]
	if last.GetTerm() != m.GetTerm() || len(last.GetData()) > 0 || last.GetType() != raftpb.EntryNormal {
		return
	}
	if i := slices.IndexFunc(entries, func(e *raftpb.Entry) bool { return e.GetIndex() == last.GetIndex()+1 }); i >= 0 {
		m.Entries = append(slices.Clip(m.Entries), entries[i:]...)
	}
}

func (a *applier) persisted(seq uint64) {
	a.promises.boundPersisted(seq)
	for len(a.writes) > 0 && a.writes[0].seq <= seq && !a.removed {
		w := a.writes[0]
		a.writes[0] = nil
		a.writes = a.writes[1:]
		a.finish(w)
	}
}

// finish goes on with a write that is durable.
func (a *applier) finish(w *write) {
	a.stored(w)
	if s := w.snapshot; s != nil {
		was := a.ring
		a.must(a.restore(s), "the leader sent a snapshot that cannot be read")
		a.dropped, a.sealed = 0, nil
		for _, is := range a.ring.Members {
			if m, ok := was.Member(is.ID); ok {
				a.identity.recordChange(a.applied, m, is)
			} else {
				a.identity.recordJoin(a.applied, is)
			}
		}
		a.emit(Applied{Index: a.applied, State: a.ring})
		if a.ringChanged(); a.removed {
			return
		}
	}
	a.answer(w.after)
}

// answer sends what waited for a write, to other members and to raft itself.
func (a *applier) answer(after []*raftpb.Message) {
	for _, m := range after {
		if m.GetTo() == a.cfg.ID {
			a.parent.follow(a.stepRaft(m))
			continue
		}
		switch m.GetType() {
		case raftpb.MsgPreVoteResp:
			if m.GetReject() {
				a.campaign.tryAgainSoon()
			} else {
				a.campaign.yieldPreVote(m.GetTo())
			}
		case raftpb.MsgVoteResp:
			if !m.GetReject() {
				a.campaign.yieldVote(m.GetTerm())
				a.promises.noteAck(m.GetTerm(), voteAck)
			}
		}
		a.sendRaft(m)
	}
}

func (a *applier) apply(e *raftpb.Entry) {
	a.applied = e.GetIndex()
	if e.GetType() != raftpb.EntryNormal {
		a.applyConf(e)
		return
	}
	if len(e.GetData()) == 0 {
		return
	}
	c, err := a.commands.take(e)
	a.must(err, "log entry %d of term %d was let in", e.GetIndex(), e.GetTerm())
	if c.Seal != nil {
		a.seal(*c.Seal)
		if a.leads() && e.GetTerm() == a.term {
			a.requests.proposalApplied(c, nil)
		}
		return
	}
	next := a.ring.Clone()
	changes, err := next.Apply(e.GetTerm(), c)
	if err != nil {
		a.trace("entry %d has no effect: %v", e.GetIndex(), err)
	} else if c.Beside() {
		a.ring = next // nobody has to act
		if c.Timed != nil && !a.leads() && a.raftLead != 0 && e.GetTerm() == a.term {
			a.recorder.claimTold(a.term)
		}
	} else {
		for _, m := range a.ring.Members {
			if next.Gone(m.ID) && (a.inConf(m.ID) || m.ID == a.dropped) && m.ID != a.cfg.ID {
				*a.gone.Ensure(m.ID) = m
			}
		}
		was := a.ring
		a.ring = next
		for _, ch := range changes {
			m, known := was.Member(ch.Member.ID)
			switch {
			case known && ch.Kind == ring.Returned:
				a.identity.recordChange(e.GetIndex(), m, ch.Member)
			case ch.Kind == ring.Joined:
				a.identity.recordJoin(e.GetIndex(), ch.Member)
			}
		}
		a.emit(Applied{Index: e.GetIndex(), Changes: changes, State: next})
		if a.ringChanged(); a.removed {
			return
		}
	}
	if a.leads() && e.GetTerm() == a.term && c.Ref != 0 {
		a.requests.proposalApplied(c, err)
	}
	if c.Declare != nil && err == nil {
		a.leader.leaderDeclared(*c.Declare)
	}
}

func (a *applier) applyConf(e *raftpb.Entry) {
	cc, err := confChangeOf(e)
	a.must(err, "log entry %d of term %d was let in", e.GetIndex(), e.GetTerm())
	if err := a.confRefusal(cc); err != nil {
		a.trace("entry %d changes no configuration: %v", e.GetIndex(), err)
		return
	}
	a.parent.changeConf(cc)
	a.trial.changed(a.conf)
	a.recorder.votersChanged(e.GetTerm())
	if slices.ContainsFunc(cc.AsV2().GetChanges(), func(ch *raftpb.ConfChangeSingle) bool { return ch.GetNodeId() == a.dropped }) {
		a.dropped = 0 // the log has caught up with the survivor
	}
	a.trace("configuration: voters %v%v learners %v", a.conf.GetVoters(), a.conf.GetVotersOutgoing(), a.conf.GetLearners())
}

// seal lets those go who are out of a configuration that is known to be
// committed by a majority of its voters.
//
// A removed member drops its log as soon as it is told. If a majority of the
// new configuration lost the knowledge that it is committed (a commit index
// alone is not synced, and only the leader has it first), they would fall back
// to the old configuration and need that log. An entry that the leader appends
// after it has applied the change travels with a commit index that covers the
// change, and is synced with it: once such an entry is committed, a majority
// knows for good.
func (a *applier) seal(s ring.Seal) {
	if !slices.Equal(s.Voters, a.conf.GetVoters()) || len(a.conf.GetVotersOutgoing()) > 0 {
		return // the configuration has changed since: a later one seals both
	}
	a.sealed = s.Voters
	before := a.gone.Len()
	for _, id := range a.gone.IDs() {
		if !a.inConf(id) && id != a.dropped {
			a.gone.Delete(id)
			if a.leads() {
				a.notice(id)
			}
		}
	}
	if a.gone.Len() != before {
		a.links.peersChanged()
	}
}

// ringChanged follows up on a new committed ring, which may be one without this process.
func (a *applier) ringChanged() {
	if a.leads() {
		a.lead.ringAt = max(a.lead.ringAt, a.applied)
	}
	a.links.peersChanged()
	if a.ring.Gone(a.cfg.ID) && a.membership.leavingSince == 0 {
		a.membership.leavingSince, a.membership.leavingWhy, a.membership.leavingVoter = a.now, "taken out of the ring", a.isVoter(a.cfg.ID)
	}
	a.identity.forgetPeers()
	a.identity.checkRecorded()
}
