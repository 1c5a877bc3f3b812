package election

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// ready carries out what raft wants. What a member owes to its disk (answers
// to votes and appends, and a candidate's own vote) waits for the Persist; what
// it tells on its own account (appends, heartbeats, votes) leaves at once
// (Ongaro's thesis, 10.2.1). Raft does not wait for a write before it goes on
// (its AsyncStorageWrites), so a slow disk delays only what depends on it.
func (n *Node) ready() {
	for len(n.writes) < maxWrites && !n.removed && n.rn.HasReady() {
		rd := n.rn.Ready()
		w := &write{began: n.now, hard: rd.HardState, entries: rd.Entries, snapshot: rd.Snapshot}
		n.noteReturns(rd.Entries)
		var apply []*raftpb.Message
		for _, m := range rd.Messages {
			if n.leftOut(m) || m.GetTo() == raft.None { // a heartbeat of nobody wants no answer
				continue
			}
			switch m.GetType() {
			case raftpb.MsgStorageAppend:
				w.after = append(w.after, m.GetResponses()...)
			case raftpb.MsgStorageApply:
				apply = m.GetResponses()
			case raftpb.MsgVote, raftpb.MsgPreVote:
				n.voteAsked(m)
				n.sendRaft(m)
			case raftpb.MsgApp:
				extend(m, rd.Entries)
				if !n.postponed(m) {
					n.sendRaft(m)
				}
			default:
				n.sendRaft(m)
			}
		}
		if raft.IsEmptyHardState(w.hard) {
			w.hard = nil
		}
		if raft.IsEmptySnap(w.snapshot) {
			w.snapshot = nil
		} else {
			n.noteSnapshot(w.snapshot)
		}
		n.write(w, rd.MustSync)
		n.applyCommitted(rd.CommittedEntries)
		for _, m := range apply {
			n.stepRaft(m)
		}
	}
	n.applyAhead()
	n.refresh()
	n.compact()
}

// write hands a write to the disk.
//
// That a configuration is committed need not be durable before it is used: a
// member that it removes keeps its log until the change is sealed, and every
// later entry of the leader is synced with a commit index that covers it, so
// nobody can win by the old configuration against one that has more: the answers
// to its votes tell it of the new one.
func (n *Node) write(w *write, sync bool) {
	// An answer to a pre-vote promises nothing, so it waits for no disk. But a
	// voter whose disk is stuck could not vote now, and must not promise hope.
	kept, stuck := w.after[:0:0], n.stuck()
	var now []*raftpb.Message
	for _, m := range w.after {
		if m.GetType() == raftpb.MsgPreVoteResp && (m.GetReject() || !stuck) {
			now = append(now, m)
		} else if !n.owesVote(m) {
			kept = append(kept, m)
		}
	}
	w.after = kept
	if w.hard != nil || w.snapshot != nil || len(w.entries) > 0 {
		sync = sync || w.snapshot != nil
		w.seq = n.persist(Persist{HardState: w.hard, Entries: w.entries, Snapshot: w.snapshot, Reset: w.snapshot != nil, Sync: sync})
	} else {
		sync = false
		if len(w.after) == 0 {
			n.answer(now)
			return
		}
		if n.writing() {
			w.seq = n.writes[len(n.writes)-1].seq // what it answers for is under way
		}
	}
	n.answer(now)
	if !sync && !n.writing() { // a commit index alone is not worth waiting for
		n.finish(w)
		return
	}
	n.writes = append(n.writes, w)
}

// applyAhead applies what is committed although this member's own copy is not
// durable yet: a majority's is, and a leader should be known everywhere no later
// than the slowest disk allows. After a crash this member is told again.
// Changes of the configuration wait: raft takes them in the order of its own.
func (n *Node) applyAhead() {
	for !n.removed && n.applied < n.commit {
		e := n.entry(n.applied + 1)
		if e == nil || e.GetType() != raftpb.EntryNormal {
			return
		}
		n.apply(e)
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
	for i, e := range entries {
		if e.GetIndex() == last.GetIndex()+1 {
			m.Entries = append(slices.Clip(m.Entries), entries[i:]...)
			return
		}
	}
}

// postponed keeps a new leader's first append to a learner until the
// declaration that it carries is committed: the voters' answers are waited
// for, not the learners', and one message then tells a learner all, not three.
func (n *Node) postponed(m *raftpb.Message) bool {
	l := n.lead
	if l == nil || n.declared() || n.isVoter(m.GetTo()) || n.now >= n.postponedUntil() {
		return false
	}
	l.postponed = append(l.postponed, m)
	return true
}

// postponedUntil is when learners are told although nothing is committed.
func (n *Node) postponedUntil() Instant { return n.lead.since.Add(n.ring.Settings.Stagger()) }

func (n *Node) sendPostponed() {
	l := n.lead
	if len(l.postponed) == 0 {
		return
	}
	if end := n.postponedUntil(); !n.declared() && n.now < end {
		n.wakeAt(end)
		return
	}
	for _, m := range l.postponed {
		m.Commit = new(max(m.GetCommit(), n.commit))
		n.sendRaft(m)
	}
	l.postponed = nil
}

func (n *Node) persist(p Persist) uint64 {
	n.persistSeq++
	p.Seq = n.persistSeq
	n.emit(p)
	return p.Seq
}

func (n *Node) persisted(seq uint64) {
	n.boundPersisted(seq)
	for len(n.writes) > 0 && n.writes[0].seq <= seq && !n.removed {
		w := n.writes[0]
		n.writes[0] = nil
		n.writes = n.writes[1:]
		n.finish(w)
	}
}

// finish goes on with a write that is durable.
func (n *Node) finish(w *write) {
	n.stored(w)
	if s := w.snapshot; s != nil {
		was := n.ring
		if err := n.restore(s); err != nil {
			panic(fmt.Sprintf("election: the leader sent a snapshot that cannot be read: %v", err))
		}
		n.dropped, n.sealed = 0, nil
		for _, is := range n.ring.Members {
			if m, ok := was.Member(is.ID); ok {
				n.recordChange(n.applied, m, is)
			} else {
				n.recordJoin(n.applied, is)
			}
		}
		n.emit(Applied{Index: n.applied, State: n.ring})
		n.ringChanged()
		n.checkRecorded()
		if n.removed {
			return
		}
	}
	n.answer(w.after)
}

// answer sends what waited for a write, to other members and to raft itself.
func (n *Node) answer(after []*raftpb.Message) {
	for _, m := range after {
		if m.GetTo() == n.cfg.ID {
			n.stepRaft(m)
			continue
		}
		switch m.GetType() {
		case raftpb.MsgPreVoteResp:
			if m.GetReject() {
				n.tryAgainSoon()
			} else {
				n.yieldPreVote(m.GetTo())
			}
		case raftpb.MsgVoteResp:
			if !m.GetReject() {
				n.yieldVote(m.GetTerm())
				n.noteAck(m.GetTerm(), voteAck)
			}
		}
		n.sendRaft(m)
	}
}

// stepRaft hands raft a message of this member's own.
func (n *Node) stepRaft(m *raftpb.Message) {
	if err := n.rn.Step(m); err != nil {
		n.trace("raft refuses its own %v: %v", m.GetType(), err)
	}
	n.refresh()
}

// applyCommitted applies what raft hands out, but for what was applied ahead.
func (n *Node) applyCommitted(entries []*raftpb.Entry) {
	for _, e := range entries {
		if n.removed {
			return
		}
		if e.GetIndex() > n.applied {
			n.apply(e)
		}
	}
}

func (n *Node) sendRaft(m *raftpb.Message) {
	if n.ring.Gone(m.GetTo()) && !n.needed(m.GetTo()) {
		return
	}
	if m.GetType() == raftpb.MsgSnap && n.lead != nil {
		n.lead.followers.Ensure(m.GetTo()).snapshot = markAt(n.now) // also if it is kept back: raft waits for it
	}
	if n.muted(m) {
		return
	}
	if m.GetType() == raftpb.MsgHeartbeat && n.lead != nil {
		if !n.isVoter(m.GetTo()) && n.lead.spared(m.GetTo(), n.now) {
			return
		}
		n.owe(m.GetTo())
	}
	n.attachClaim(m)
	n.attachCommitted(m)
	n.send(Message{To: m.GetTo(), Raft: m})
}

func (n *Node) apply(e *raftpb.Entry) {
	n.applied = e.GetIndex()
	switch e.GetType() {
	case raftpb.EntryConfChange, raftpb.EntryConfChangeV2:
		n.applyConf(e)
		return
	}
	if len(e.GetData()) == 0 {
		return
	}
	c, err := n.commands.take(e)
	if err != nil {
		panic(fmt.Sprintf("election: log entry %d of term %d was let in: %v", e.GetIndex(), e.GetTerm(), err))
	}
	if c.Seal != nil {
		n.seal(*c.Seal)
		if n.lead != nil && e.GetTerm() == n.lead.term {
			n.proposalApplied(c, nil, nil)
		}
		return
	}
	next := n.ring.Clone()
	changes, err := next.Apply(e.GetTerm(), c)
	if err != nil {
		n.trace("entry %d has no effect: %v", e.GetIndex(), err)
	} else if c.Beside() {
		n.ring = next // nobody has to act
		if c.Timed != nil && n.lead == nil && n.raftLead != 0 && e.GetTerm() == n.term {
			n.claimTold(n.term)
		}
	} else {
		for _, m := range n.ring.Members {
			if next.Gone(m.ID) && (n.inConf(m.ID) || m.ID == n.dropped) && m.ID != n.cfg.ID {
				*n.gone.Ensure(m.ID) = m
			}
		}
		was := n.ring
		n.ring = next
		for _, ch := range changes {
			m, known := was.Member(ch.Member.ID)
			switch {
			case known && ch.Kind == ring.Returned:
				n.recordChange(e.GetIndex(), m, ch.Member)
			case ch.Kind == ring.Joined:
				n.recordJoin(e.GetIndex(), ch.Member)
			}
		}
		n.emit(Applied{Index: e.GetIndex(), Changes: changes, State: next})
		n.ringChanged()
		n.checkRecorded()
	}
	if n.removed {
		return
	}
	if n.lead != nil && e.GetTerm() == n.lead.term && c.Ref != 0 {
		n.proposalApplied(c, changes, err)
	}
	if c.Declare != nil && err == nil {
		n.leaderDeclared(*c.Declare)
	}
}

func (n *Node) applyConf(e *raftpb.Entry) {
	cc, err := confChangeOf(e)
	if err != nil {
		panic(fmt.Sprintf("election: log entry %d of term %d was let in: %v", e.GetIndex(), e.GetTerm(), err))
	}
	if err := n.confRefusal(cc); err != nil {
		n.trace("entry %d changes no configuration: %v", e.GetIndex(), err)
		return
	}
	n.changeConf(cc)
	n.trial.changed(n.conf)
	n.votersChanged(e.GetTerm())
	if n.dropped != 0 {
		for _, ch := range cc.AsV2().GetChanges() {
			if ch.GetNodeId() == n.dropped {
				n.dropped = 0 // the log has caught up with the survivor
				break
			}
		}
	}
	n.trace("configuration: voters %v%v learners %v", n.conf.GetVoters(), n.conf.GetVotersOutgoing(), n.conf.GetLearners())
}

func (n *Node) changeConf(cc raftpb.ConfChangeI) {
	n.changingConf = true
	voted := n.isVoter(n.cfg.ID)
	n.conf = n.rn.ApplyConfChange(cc)
	n.changingConf = false
	if !slices.Equal(n.sealed, n.conf.GetVoters()) || len(n.conf.GetVotersOutgoing()) > 0 {
		n.sealed = nil
	}
	if n.ring.RingID != "" {
		if !voted && n.isVoter(n.cfg.ID) {
			n.forgetOpinions()
		}
		n.peersChanged()
	}
	n.refresh()
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
func (n *Node) seal(s ring.Seal) {
	if !slices.Equal(s.Voters, n.conf.GetVoters()) || len(n.conf.GetVotersOutgoing()) > 0 {
		return // the configuration has changed since: a later one seals both
	}
	n.sealed = s.Voters
	before := n.gone.Len()
	for _, id := range n.gone.IDs() {
		if !n.inConf(id) && id != n.dropped {
			n.gone.Delete(id)
			if n.lead != nil {
				n.notice(id)
			}
		}
	}
	if n.gone.Len() != before {
		n.peersChanged()
	}
}

// needed tells whether a former member's answers or log may still be needed.
func (n *Node) needed(id uint64) bool {
	return n.gone.Get(id) != nil || n.inConf(id) || id == n.dropped
}

// ringChanged follows up on a new committed ring.
func (n *Node) ringChanged() {
	if n.lead != nil {
		n.lead.ringAt = max(n.lead.ringAt, n.applied)
	}
	n.peersChanged()
	if n.ring.Gone(n.cfg.ID) && n.leavingSince == 0 {
		n.leavingSince, n.leavingWhy, n.leavingVoter = max(n.now, 1), "taken out of the ring", n.isVoter(n.cfg.ID)
	}
	n.forgetPeers()
}

// compact cuts the log behind a snapshot of the present state, keeping a tail
// so that members a little behind need no snapshot.
func (n *Node) compact() {
	// Raft may still have to hand out what was applied ahead.
	handed := n.rn.BasicStatus().Applied
	if n.applied-n.snapped < n.cfg.CompactAfter || n.dropped != 0 || n.applied != handed {
		return
	}
	snap, err := n.store.CreateSnapshot(n.applied, n.conf, n.snapshot())
	if err != nil {
		panic(fmt.Sprintf("election: snapshot at index %d: %v", n.applied, err))
	}
	n.snapped = n.applied
	if err := n.store.Compact(n.applied - n.cfg.CompactAfter/4); err != nil && err != raft.ErrCompacted {
		panic(fmt.Sprintf("election: compact the log: %v", err))
	}
	n.persist(Persist{Snapshot: snap})
}

// refresh reads raft's state after a step, and notices a gained or lost raft
// leadership.
func (n *Node) refresh() {
	st := n.rn.BasicStatus()
	wasLeader, oldTerm := n.role == raft.StateLeader, n.term
	wasCandidate := n.role == raft.StateCandidate
	n.role, n.term, n.raftLead, n.commit, n.transferee = st.RaftState, st.GetTerm(), st.Lead, st.GetCommit(), st.LeadTransferee
	switch {
	case n.role == raft.StateLeader && (!wasLeader || oldTerm != n.term):
		n.stepDown()
		n.elected()
	case n.role == raft.StateLeader:
		n.lead.noteCommit(n.commit, n.now)
	case n.role != raft.StateLeader && wasLeader:
		n.stepDown()
	}
	if n.role == raft.StateCandidate && (!wasCandidate || oldTerm != n.term) {
		n.liftTerm()
	}
}
