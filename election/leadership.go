package election

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election/internal/tracker"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

// leading is what a member knows while raft's leader: first as a winner that
// has to declare itself or to find who must, then as the declared leader.
type leading struct {
	// why says what a caretaker waits for.
	why      string
	since    Instant
	nextTick Instant
	after    uint64
	// declared is when the declaration was applied here, 0 before.
	declared Instant
	// advanced is when the commit index last moved on, to committed, or all was
	// committed.
	advanced  Instant
	committed uint64
	// ringAt is the newest entry that changed the ring, at least the one that began
	// the term.
	ringAt uint64
	// nextForget is when to look for former members that may be forgotten.
	nextForget Instant

	// heirless: nobody who may lead is alive; joiners are admitted all the same,
	// since nobody else ever could.
	heirless bool

	requests []waiting // requests whose command is applied
	// applicants wait for the look at the holder of their name.
	applicants []applicant

	heartbeats heartbeats
	caretaking caretaking
	takeover   takeover
	handOn     handOn
	followers  tracker.Table[follower]
	handover   *handover
	wantsLead  uint64 // the newest joiner that asked to lead

	stops stops

	// postponed are the first appends to learners, which wait for the
	// declaration.
	postponed []*raftpb.Message

	// timed are the figures of the first claim, to be told at tellTimed (Never: done).
	timed     *ring.Timed
	tellTimed Instant
}

// leadership is this member's part as raft's leader.
type leadership struct {
	*roster
	lease    *lease
	recorder *recorder
	lead     *leading // nil unless raft's leader
	// stalls is how often this member gave a leadership up since somebody last led,
	// as it could commit nothing.
	stalls int
	// handedOver is a request of this node that its successor completes.
	handedOver *handover
	claiming   bool
	// claimEnd is when the claim of claimTerm ends, as of the last step.
	claimEnd  Instant
	claimTerm uint64
}

// appendAgain lets raft send again what a member has not acknowledged, although it
// acks renewals: the append or its answer may be lost. Raft would do that after the
// answer to a heartbeat, and a declared leader sends one in a lease. Where messages are
// lost, an entry would wait for several leases.
func (ls *leadership) appendAgain(to uint64) {
	if ls.now >= ls.lead.advanced.Add(ls.ring.Settings.RenewEvery()) && ls.acknowledged(to) < ls.lastIndex() {
		ls.parent.follow(ls.stepRaft(&raftpb.Message{Type: raftpb.MsgHeartbeatResp.Enum(), From: new(to), To: new(ls.cfg.ID), Term: new(ls.term)}))
	}
}

// updateClaim reports gained and lost claims, and wakes at the lease's end.
func (ls *leadership) updateClaim() {
	term, end := ls.claimUntil()
	claiming := term != 0 && ls.now < end
	if claiming {
		ls.wakeAt(end)
		ls.claimTerm, ls.claimEnd = term, end
	}
	if claiming == ls.claiming {
		return
	}
	ls.claiming = claiming
	c := ClaimChanged{Claiming: claiming, Term: ls.ring.Term}
	switch {
	case claiming:
		c.Phases = ls.firstClaim()
		c.Why = "declared, and a majority promised"
		ls.recorder.unanswered = false
		if ls.recorder.claimRegained() {
			// Voters hear at once that their acks make a claim: it may be this leader's last
			// one, and one of them then says since when nobody led.
			ls.lease.next = ls.now
			ls.wakeAt(ls.now)
		}
	case ls.lead != nil && ls.lease.released:
		c.Why = "handing over"
		ls.recorder.unanswered = false
	case ls.lead == nil:
		c.Why = "no longer raft's leader"
	default:
		c.Why = "the lease ran out: too few voters answer"
		ls.recorder.unanswered = true
	}
	if !claiming {
		ls.recorder.claimEnded(ls.claimTerm, min(ls.claimEnd, ls.now), c.Why)
	}
	ls.reportClaim(c)
}

// reportClaim emits the change. If the claim is back in the turn in which it was
// lost, it takes that report back instead. Answers that prolong the lease had come
// in, but another input came first and the core saw the lease run out. The lease
// counts from when the answers were asked for, so there was no moment without one.
func (ls *leadership) reportClaim(c ClaimChanged) {
	for i, e := range slices.Backward(ls.effects) {
		if was, ok := e.(ClaimChanged); ok {
			if c.Claiming && !was.Claiming && c.Term == was.Term {
				ls.effects = slices.Delete(ls.effects, i, i+1)
				return
			}
			break
		}
	}
	ls.emit(c)
}

// tickEvery is the interval of raft's heartbeats. A declared leader is known
// by its renewals; a caretaker sends none, and must not be taken for silent.
func (ls *leadership) tickEvery() time.Duration {
	if ls.declared() {
		return ls.ring.Settings.Lease()
	}
	return ls.ring.Settings.RenewEvery()
}

// retrySnapshot lets raft send a snapshot again to a member that answers a
// heartbeat but did not acknowledge it: it may be lost, and raft would wait
// for it forever.
func (ls *leadership) retrySnapshot(id uint64) {
	f := ls.lead.followers.Get(id)
	if f != nil && f.snapshot != 0 && ls.now >= f.snapshot.Add(ls.ring.Settings.RenewEvery()) {
		f.snapshot = 0
		ls.snapshotLost(id)
	}
}

// releaseVoters voids every promise that was given to this leader until now.
func (ls *leadership) releaseVoters(lapsed bool) {
	ls.lease.void()
	for _, id := range ls.otherVoters() {
		ls.send(Message{To: id, Release: ls.release(lapsed)})
	}
}

func (ls *leadership) release(lapsed bool) *Release {
	return &Release{Term: ls.term, Seq: ls.lease.ignoreUpTo, ID: ls.cfg.ID, Incarnation: ls.cfg.Incarnation, Lapsed: lapsed}
}

// silent reports whether this member leads in raft's eyes, but has fallen
// silent.
func (ls *leadership) silent() bool { return ls.leads() && ls.lease.lapse.silent != 0 }

// muted reports whether a message of raft's is kept back: one that would pass
// for a sign of a leader, while this member is none or has fallen silent. Raft
// takes it for lost.
func (ls *leadership) muted(m *raftpb.Message) bool {
	ofLeader := slices.Contains([]raftpb.MessageType{raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap}, m.GetType())
	return ofLeader && (!ls.leads() || ls.silent())
}

func (ls *leadership) sendRaft(m *raftpb.Message) {
	if ls.ring.Gone(m.GetTo()) && !ls.needed(m.GetTo()) {
		return
	}
	if m.GetType() == raftpb.MsgSnap && ls.leads() {
		ls.lead.followers.Ensure(m.GetTo()).snapshot = ls.now // also if it is kept back: raft waits for it
	}
	if ls.muted(m) {
		return
	}
	if m.GetType() == raftpb.MsgHeartbeat && ls.leads() {
		if !ls.isVoter(m.GetTo()) && ls.lead.spared(m.GetTo(), ls.now) {
			return
		}
		ls.roster.owe(m.GetTo())
	}
	ls.recorder.attachClaim(m)
	ls.attachCommitted(m)
	ls.send(Message{To: m.GetTo(), Raft: m})
}

// claim returns the token with which this member claims at now, 0 if it does not.
func (ls *leadership) claim(now Instant) uint64 {
	if term, end := ls.claimUntil(); now < end {
		return term
	}
	return 0
}

// claimUntil is Node.ClaimUntil.
func (ls *leadership) claimUntil() (term uint64, end Instant) {
	if ls.lead == nil || ls.removed || !ls.declared() || ls.lease.released {
		return 0, 0
	}
	return ls.ring.Term, ls.lease.leaseEnd(ls.conf.GetVoters(), ls.conf.GetVotersOutgoing())
}

// firstClaim returns the whole figures at a leadership's first claim, else zero.
// They are told to the others a little later, out of the way of what the
// failover itself still has to do.
func (ls *leadership) firstClaim() ring.Phases {
	l := ls.lead
	if l == nil || l.timed != nil {
		return ring.Phases{}
	}
	var p ring.Phases
	if ls.recorder.led.token != 0 {
		p = ls.recorder.led.phases()
		p.FirstClaim = ls.now.Sub(ls.recorder.led.at).Microseconds()
	}
	l.timed = &ring.Timed{Term: ls.term, Declared: p.Declared, FirstClaim: p.FirstClaim}
	if len(ls.ring.History) > 1 { // before the first one there was nothing to lead
		l.timed.ClaimAfter = ls.now.Sub(ls.recorder.measured).Microseconds()
	}
	l.tellTimed = ls.now.Add(durations.FiguresLogged)
	ls.wakeAt(l.tellTimed)
	return p
}

// handedOverRule completes a handover that nobody took over in time.
func (ls *leadership) handedOverRule() {
	if h := ls.handedOver; h != nil && !ls.leads() && !ls.before(h.deadline) {
		ls.endHandedOver(ErrNoAnswer)
	}
}

// endHandedOver completes the handover that this member's successor had to complete.
func (ls *leadership) endHandedOver(err error) {
	if h := ls.handedOver; h != nil {
		ls.handedOver = nil
		ls.emit(Done{Ref: h.ref, Err: err})
	}
}
