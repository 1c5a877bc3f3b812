package election

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	rafttracker "go.etcd.io/raft/v3/tracker"

	"github.com/arc-ring/arc/election/internal/tracker"
	"github.com/arc-ring/arc/ring"
)

// electionTicks is how many of a leader's raft ticks without a quorum make it
// step down (raft's CheckQuorum).
const electionTicks = 4

// transition is what a step of raft's changed in this member's part: it was
// deposed, or elected, or both in this order.
type transition struct{ deposed, elected bool }

// replica is this member's copy of the log, which raft keeps. Nothing else of the
// package touches raft's RawNode. What a step of raft's changed comes back as a
// transition; only raft itself calls back, for a snapshot.
type replica struct {
	*base
	rn    *raft.RawNode
	store *raft.MemoryStorage
	// writes are raft's writes under way, oldest first.
	writes   []*write
	commands commands

	configuration
	applied      uint64
	snapped      uint64
	changingConf bool // while raft applies a configuration change
	trial        trial

	raftState
	// plainVotes is the newest term of votes that liftTerm began and nobody asked for.
	plainVotes uint64

	// dropped is the dead half of a pair that the survivor took out of raft's
	// configuration ahead of the log; 0 if none.
	dropped uint64
	// gone are former members whose answers or logs may still be needed:
	// raft's configuration counts them, or it is not sealed that it does not.
	gone tracker.Table[ring.Member]
	// sealed are the voters of the newest sealed configuration.
	sealed []uint64
}

// raftState is what raft says, refreshed after each of its steps.
type raftState struct {
	role                   raft.StateType
	term, raftLead, commit uint64
	// transferee is to whom raft transfers its leadership; it takes no
	// proposals meanwhile.
	transferee uint64
}

// isFollower reports whether this member is a follower by raft, of somebody or of nobody.
func (s *raftState) isFollower() bool { return s.role == raft.StateFollower }

// candidate reports whether this member asks for votes that count.
func (s *raftState) candidate() bool { return s.role == raft.StateCandidate }

// preCandidate reports whether this member asks who would vote for it.
func (s *raftState) preCandidate() bool { return s.role == raft.StatePreCandidate }

// startRaft starts raft on what the memory log holds.
func (r *replica) startRaft() {
	var err error
	r.rn, err = raft.NewRawNode(&raft.Config{
		ID: r.cfg.ID, ElectionTick: electionTicks, HeartbeatTick: 1, Storage: memoryLog{r.store, r}, Applied: r.applied,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, CheckQuorum: true, PreVote: true,
		DisableProposalForwarding: true, StepDownOnRemoval: true, AsyncStorageWrites: true, Logger: r.cfg.RaftLogger,
	})
	r.must(err, "start raft")
}

// refresh reads raft's state after a step.
func (r *replica) refresh() transition { return r.refreshAfter(false) }

// refreshAfter does so after a step that lets raft campaign at somebody's word (forced).
func (r *replica) refreshAfter(forced bool) (t transition) {
	st, was := r.rn.BasicStatus(), r.raftState
	r.raftState = raftState{st.RaftState, st.GetTerm(), st.Lead, st.GetCommit(), st.LeadTransferee}
	if r.role == was.role && r.term == was.term {
		return t
	}
	t.deposed, t.elected = was.role == raft.StateLeader, r.role == raft.StateLeader
	if r.candidate() {
		t.elected = r.liftTerm(forced).elected
	}
	return t
}

// leads reports whether this member leads by raft: as the declared leader, or as a
// caretaker. One whose part in the ring is over leads nobody.
func (r *replica) leads() bool { return r.role == raft.StateLeader && !r.removed }

// stepRaft hands raft a message, from another member or of this one's own.
func (r *replica) stepRaft(m *raftpb.Message) transition {
	if err := r.rn.Step(m); err != nil {
		r.trace("raft refuses %v from %d: %v", m.GetType(), m.GetFrom(), err)
	}
	return r.refreshAfter(m.GetType() == raftpb.MsgTimeoutNow)
}

// tick lets raft's time pass.
func (r *replica) tick() transition {
	r.rn.Tick()
	return r.refresh()
}

// depose lets this leader step down. Raft's leader does so when no majority was active
// between two of its quorum checks, and no message comes in here between them.
func (r *replica) depose() transition {
	for i := 0; i < 2*electionTicks && r.rn.BasicStatus().RaftState == raft.StateLeader; i++ {
		r.rn.Tick()
	}
	return r.refresh()
}

// ask begins a campaign. A sure winner skips the pre-vote, which would ask its
// voters a question whose answer is known.
func (r *replica) ask(sure bool) transition {
	if sure && r.isFollower() {
		return r.stepRaft(&raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum(), From: new(r.cfg.ID), To: new(r.cfg.ID), Term: new(r.term)})
	}
	if err := r.rn.Campaign(); err != nil {
		r.trace("campaign refused: %v", err)
	}
	return r.refresh()
}

// liftTerm lets a member that has just become a candidate ask for votes in the
// term of the wall clock, if that is higher. It is too early before that: a
// candidate of the pre-vote must not move anybody's term. The votes of the term
// that is left out never leave (see leftOut), and are never written.
//
// Raft adds one to its own term when it campaigns. So it is shown a heartbeat of
// nobody from the term before the wanted one, which makes it a follower there, also
// if that is the term in which it asks for votes. Then it is told to campaign at once.
func (r *replica) liftTerm(forced bool) transition {
	want := wallTerm(r.cfg.Wall())
	if r.term >= want {
		return transition{}
	}
	r.trace("asks for votes in term %d instead of %d, by the wall clock", want, r.term)
	if !forced {
		r.plainVotes = want
	}
	below := want - 1
	for _, m := range []*raftpb.Message{
		{Type: raftpb.MsgHeartbeat.Enum(), To: new(r.cfg.ID), Term: new(below)},
		{Type: raftpb.MsgTimeoutNow.Enum(), From: new(r.cfg.ID), To: new(r.cfg.ID), Term: new(below)},
	} {
		if err := r.rn.Step(m); err != nil {
			r.trace("term %d is not reached: %v", want, err)
		}
	}
	return r.refreshAfter(forced)
}

// forgetLeader lets raft vote although it knows a leader; only for free voters. It
// changes no role.
func (r *replica) forgetLeader() {
	if r.isFollower() && r.raftLead != 0 {
		_ = r.rn.ForgetLeader() // fails only with lease-based reads, which are off
		r.refresh()
	}
}

// transfer asks raft to make another voter leader. It is repeated by aborting
// the former try: the message that starts it may be lost.
func (r *replica) transfer(to uint64) {
	r.rn.TransferLeader(r.cfg.ID) // aborts, see raft's MsgTransferLeader
	r.rn.TransferLeader(to)
	r.refresh()
}

// abortTransfer ends a transfer. Raft takes no proposals meanwhile.
func (r *replica) abortTransfer() { r.transfer(r.cfg.ID) }

// appendCommand proposes a command.
func (r *replica) appendCommand(data []byte) error {
	defer r.refresh()
	return r.rn.Propose(data)
}

// appendChange proposes a change of the configuration.
func (r *replica) appendChange(cc raftpb.ConfChangeI) error {
	defer r.refresh()
	return r.rn.ProposeConfChange(cc)
}

// streamLost says that what was sent to a member may be lost.
func (r *replica) streamLost(id uint64) {
	r.rn.ReportUnreachable(id)
	r.snapshotLost(id)
}

// snapshotLost lets raft send a snapshot again. It is ignored unless one is under way.
func (r *replica) snapshotLost(id uint64) { r.rn.ReportSnapshot(id, raft.SnapshotFailure) }

// progress walks through what this leader knows of each member's copy of the log.
func (r *replica) progress(f func(id uint64, learner bool, p rafttracker.Progress)) {
	r.rn.WithProgress(func(id uint64, _ raft.ProgressType, p rafttracker.Progress) { f(id, p.IsLearner, p) })
}

// progressOf returns what this leader knows of one member's, the zero value if nothing.
func (r *replica) progressOf(id uint64) (of rafttracker.Progress) {
	if r.leads() {
		r.progress(func(member uint64, _ bool, p rafttracker.Progress) {
			if member == id {
				of = p
			}
		})
	}
	return of
}

// acknowledged returns up to where a member has acknowledged this leader's log.
func (r *replica) acknowledged(id uint64) uint64 { return r.progressOf(id).Match }

// caughtUp reports whether a learner has all but what is under way.
func (r *replica) caughtUp(id uint64) bool {
	p := r.progressOf(id)
	return p.State == rafttracker.StateReplicate && p.Match+16 >= r.commit && p.RecentActive
}

// canTake reports whether raft wants something and there is room for its write.
func (r *replica) canTake() bool { return len(r.writes) < maxWrites && r.rn.HasReady() }

// take returns what raft wants.
func (r *replica) take() raft.Ready { return r.rn.Ready() }

// enact changes the configuration.
func (r *replica) enact(cc raftpb.ConfChangeI) {
	r.changingConf = true
	r.conf = r.rn.ApplyConfChange(cc)
	r.changingConf = false
	if !slices.Equal(r.sealed, r.conf.GetVoters()) || len(r.conf.GetVotersOutgoing()) > 0 {
		r.sealed = nil
	}
}

// unsettledLog names the first unapplied entry that could change who is in the
// ring, or returns "".
func (r *replica) unsettledLog() string {
	for i, e := range r.unapplied() {
		if e == nil {
			return fmt.Sprintf("the log at index %d cannot be read", i)
		}
		if r.changesVoters(e) {
			return fmt.Sprintf("the configuration change at index %d is not committed", i)
		}
		if !isCommand(e) {
			continue
		}
		if c, err := ring.DecodeCommand(e.GetData()); err != nil || c.Join != nil || c.Return != nil {
			return fmt.Sprintf("the join or return at index %d is not committed", i)
		}
	}
	return ""
}

// unapplied walks through the entries after what is applied. One that cannot be read is nil.
func (r *replica) unapplied() iter.Seq2[uint64, *raftpb.Entry] {
	return func(yield func(uint64, *raftpb.Entry) bool) {
		for i, last := r.applied+1, r.lastIndex(); i <= last && yield(i, r.entry(i)); i++ {
		}
	}
}

// isCommand reports whether an entry holds a command for the ring: a leader begins its
// term with an empty one.
func isCommand(e *raftpb.Entry) bool {
	return e.GetType() == raftpb.EntryNormal && len(e.GetData()) > 0
}

// everyMajorityNeedsMe reports whether this member is one of two voters, or the only
// one. Then no two majorities can count two processes of another member. A change
// of the configuration in its log may be committed already: others would count by it.
func (r *replica) everyMajorityNeedsMe() bool {
	return len(r.conf.GetVoters()) <= 2 && len(r.conf.GetVotersOutgoing()) == 0 && r.isVoter(r.cfg.ID) && !r.ahead(r.changesVoters)
}

// promotedAhead reports whether this member's log has a change that makes it a voter, or
// something that cannot be read, after what is applied. A leader that knows that the
// change is committed counts on it already.
func (r *replica) promotedAhead() bool {
	return r.ahead(func(e *raftpb.Entry) bool {
		return changes(e, func(c *raftpb.ConfChangeSingle) bool {
			return c.GetType() == raftpb.ConfChangeAddNode && c.GetNodeId() == r.cfg.ID
		})
	})
}

// ahead reports whether an entry after what is applied is of a kind, or cannot be read.
func (r *replica) ahead(kind func(*raftpb.Entry) bool) bool {
	for _, e := range r.unapplied() {
		if e == nil || kind(e) {
			return true
		}
	}
	return false
}

// changesVoters reports whether an entry changes who votes: one that only adds learners,
// or takes them out, leaves every majority as it is.
func (r *replica) changesVoters(e *raftpb.Entry) bool {
	return changes(e, func(c *raftpb.ConfChangeSingle) bool {
		return c.GetType() == raftpb.ConfChangeAddNode || r.isVoter(c.GetNodeId())
	})
}

// changes reports whether an entry changes the configuration in a way, or cannot be read.
func changes(e *raftpb.Entry, way func(*raftpb.ConfChangeSingle) bool) bool {
	if e.GetType() == raftpb.EntryNormal {
		return false
	}
	cc, err := confChangeOf(e)
	return err != nil || slices.ContainsFunc(cc.AsV2().GetChanges(), way)
}

// wantsSeal reports whether the present configuration has to be sealed: somebody
// waits to be let go, or the voters are a pair, each of which may have to go on
// alone.
func (r *replica) wantsSeal() bool {
	openPair := len(r.conf.GetVoters()) == 2 && !slices.Equal(r.sealed, r.conf.GetVoters())
	return r.dropped == 0 && (openPair || slices.ContainsFunc(r.gone.IDs(), func(id uint64) bool { return !r.inConf(id) }))
}

// unappliedConf reports whether a configuration change may be in the log beyond
// what is applied. A new leader cannot know what its predecessor left there
// before it has applied an entry of its own term.
func (r *replica) unappliedConf() bool {
	t, known := r.termAt(r.applied)
	return !known || t != r.term || r.ahead(func(e *raftpb.Entry) bool { return e.GetType() != raftpb.EntryNormal })
}

// needed reports whether a former member's answers or log may still be needed.
func (r *replica) needed(id uint64) bool {
	return r.gone.Get(id) != nil || r.inConf(id) || id == r.dropped
}

// compact cuts the log behind a snapshot of the present state, keeping a tail
// so that members a little behind need no snapshot.
func (r *replica) compact() {
	if r.applied-r.snapped < r.cfg.CompactAfter || r.dropped != 0 || r.applied != r.rn.BasicStatus().Applied {
		return // raft may still have to hand out what was applied ahead
	}
	snap, err := r.store.CreateSnapshot(r.applied, r.conf, r.snapshot())
	r.must(err, "snapshot at index %d", r.applied)
	r.snapped = r.applied
	if err := r.store.Compact(r.applied - r.cfg.CompactAfter/4); err != raft.ErrCompacted {
		r.must(err, "compact the log")
	}
	r.persist(Persist{Snapshot: snap})
}

// heldUp reports whether this leader cannot declare itself before its own disk
// has finished a write that takes long.
func (r *replica) heldUp() bool {
	return !r.declared() && r.applied < r.commit && r.writing() && !r.before(r.stuckAt())
}

// hangs reports whether this member's disk takes so long for a write that even a
// declared leader has to be replaced: a lease, as when it is silent.
func (r *replica) hangs() bool {
	return r.writing() && !r.before(r.hangsFrom())
}

// hangsAt is hangs for one who only looks. A joiner does not know the lease at first.
func (r *replica) hangsAt(now Instant) bool {
	return r.writing() && r.ring.RingID != "" && now >= r.hangsFrom()
}

// hangsFrom is when the oldest write under way has taken a lease.
func (r *replica) hangsFrom() Instant { return r.writes[0].began.Add(r.ring.Settings.Lease()) }

// declared reports whether this raft leader's declaration is committed.
func (r *replica) declared() bool {
	return r.ring.Term == r.term && r.ring.LeaderID == r.cfg.ID
}

// otherVoters returns the other voters of both halves of the configuration, ascending.
func (r *replica) otherVoters() []uint64 {
	return slices.DeleteFunc(r.allVoters(), func(id uint64) bool { return id == r.cfg.ID })
}

// leaderDeclaredInTerm reports whether raft's leader in this term is the
// declared one, as far as is known here.
func (r *replica) leaderDeclaredInTerm() bool {
	return r.raftLead != 0 && r.ring.LeaderID == r.raftLead && r.ring.Term == r.term
}

// heartbeatRound is how long the leader takes to send each learner a heartbeat.
func (r *replica) heartbeatRound() time.Duration {
	return time.Duration(max(len(r.conf.GetLearners()), 1)) * r.ring.Settings.Lease()
}

// stuck reports whether this member's disk takes so long for a write that
// somebody else should lead.
func (r *replica) stuck() bool {
	return r.writing() && r.now >= r.stuckAt()
}

// stuckAt is when the write under way takes that long.
func (r *replica) stuckAt() Instant { return r.writes[0].began.Add(r.ring.Settings.RenewEvery()) }

// memberOrGone returns a member, or a former one that is still needed.
func (r *replica) memberOrGone(id uint64) ring.Member {
	if m, ok := r.ring.Member(id); ok {
		return m
	}
	return r.gone.Value(id)
}
