package election

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// Message travels between two members. Exactly one of the pointers is set.
// Messages may be lost, doubled, delayed and reordered; they must not be
// altered, and From must be the true sender.
type Message struct {
	From, To uint64
	// Incarnation of the sender, filled in by the receiver's transport, which
	// knows with whom it speaks; 0 if it does not. A word of a process that is
	// known to be dead is dropped, and one of a new process tells that the
	// member is back.
	Incarnation uint64

	Raft        *raftpb.Message
	Renew       *Renew
	RenewAck    *RenewAck
	Opinion     *ring.Opinion
	Certificate *Certificate
	Release     *Release
	Evicted     *EvictedNotice
	Return      *Return
	Check       *Check
	Takeover    *Takeover
	Unwatched   *Unwatched
	Inspect     *Inspect
	Held        *Held
}

// Held tells a process that its member is held by another one, which lives. It
// reaches the process that it names, and no other process of the member.
type Held struct {
	RingID string
	// Incarnation is of the process that is told, By of the one that is the
	// member, at Addresses.
	ID, Incarnation, By uint64
	Addresses           []string
	// Behind: whether or not the other process lives, the data directory of the
	// one that is told is older than what the member has done since.
	Behind bool
}

// Return announces a member's process: after a restart, and to ask whether
// anybody is there.
type Return struct {
	ring.Return
	// Former are incarnations of earlier processes on the same data directory,
	// as in Config.
	Former []uint64
	// Last is the last index of its log, Term the newest term that it knows.
	Last, Term uint64
	// Ask: the receiver should announce itself too. The sender does not know what
	// disk it was started from.
	Ask bool
}

// Check asks a member for a sign of life, over the path that its word takes
// anyway; or answers that.
type Check struct {
	Answer bool
	// Term is the token of the answering member's claim, 0 if it does not claim.
	Term uint64
}

// Unwatched tells the leader that the sender's monitor does not run, so that
// nobody watches the sender's successor.
type Unwatched struct{}

// Inspect asks a member to probe another one that owes the leader an answer.
// The answer is an Opinion by the member that was asked.
type Inspect struct{ ID, Incarnation uint64 }

// Renew asks a voter to promise until Lease after its receipt.
type Renew struct {
	Term, Seq uint64
	// Incarnation of the leader: a certificate voids only promises to the
	// process that it is about.
	Incarnation uint64
	Lease       time.Duration
	// Claims: the leader claimed when it sent this.
	Claims bool
	// Acked is the newest renewal that the voter has acked, as far as the leader
	// knew when it sent this, or voteAck if it has voted for the leader; 0 if
	// neither. So the voter knows how old this can be.
	Acked uint64
	// Watcher and Grant name the grant whose end, testified by that watcher,
	// ends the promise too; 0 if only time does.
	Watcher, Grant uint64
}

// RenewAck tells the leader that the promise was made.
type RenewAck struct {
	Term, Seq uint64
	// Lease is what was promised, if that is less than what was asked for; 0 if
	// it is all.
	Lease time.Duration
}

// Certificate is a monitor's word that its own coordinator's process ended.
type Certificate struct {
	Name            string
	ID, Incarnation uint64
	// Exit is the wait status as text.
	Exit string
	// Clean is true only if the process announced that none of its local work as a
	// leader is left.
	Clean bool
	// Proof is the owner's, which keeps it with the certificate.
	Proof string
}

// Release voids the promises made to the leader of Term for renewals up to
// Seq: it leads no longer. A promise to a later renewal stands.
type Release struct {
	Term, Seq       uint64
	ID, Incarnation uint64
	// Lapsed: nothing is handed over. The leader's lease has ended, and it will
	// lead on only if a majority answers it again.
	Lapsed bool
	// Proof is the owner's, which keeps it with the release.
	Proof string
}

// EvictedNotice answers a message from somebody who is no member any more.
type EvictedNotice struct {
	RingID string
	ID     uint64
	Epoch  uint64
}

// Effect is something that the owner has to carry out: one of Send, Persist,
// Probe, Done, Relink, Applied, PeersChanged, ClaimChanged, SuspicionChanged,
// Superseded, Removed, Refused, Inquire.
type Effect interface {
	// Awaited reports whether somebody waits for the effect: a member that renews,
	// asks or campaigns, an operator, or a program that wants to know who leads.
	Awaited() bool
}

// Send hands a message to the transport. It may be lost.
type Send struct{ Message Message }

// Persist is written to the log storage, as one record that is either wholly
// there after a crash or not at all. When it is durable (only if Sync; else as
// soon as it is written) the owner calls Persisted with Seq. Persists are
// completed in order.
type Persist struct {
	Seq uint64
	// HardState is nil if unchanged.
	HardState *raftpb.HardState
	// Entries replace everything from the index of the first one on.
	Entries []*raftpb.Entry
	// Snapshot lets the storage drop all entries up to its index; with Reset
	// all entries whatsoever.
	Snapshot *raftpb.Snapshot
	Reset    bool
	// Bound is the longest promise that may live, to be known after a
	// restart; 0 if unchanged.
	Bound time.Duration
	Sync  bool
}

// Probe asks the owner to try a member's coordinator by a connection of its
// own, at all addresses at once, and to call Probed with the Result.
type Probe struct {
	// Wanted is the member's process, for the comparison with who answers too.
	ring.Wanted
	// Addresses are those to try; empty in a result: not known.
	Addresses []string
	Timeout   time.Duration
	// Asked is when the core asked.
	Asked Instant
	// Recorded asks at these addresses alone, although the transport may know
	// others: who answers there is the question.
	Recorded bool
}

// Result is what the paths, one for each address, say together. The member's
// own answer at any of them outweighs everything else; somebody else's says
// nothing while any address may still lead to the member.
func (p Probe) Result(paths []ring.Path) ProbeResult {
	found := p.Look(paths)
	r := ProbeResult{Of: p, Outcome: Unanswered, Displaced: found.Displaced}
	switch {
	case found.Refused:
		r.Outcome = NobodyListens
	case found.Match == ring.Itself, found.Match == ring.Restarted, found.Ended():
		r.Outcome = Answered
		for _, path := range paths {
			if path.Outcome == ring.PathAnswered && p.Match(path.Answer) == found.Match {
				r.AnsweredBy, r.AnsweredAs = path.Answer.Incarnation, path.Answer.ID
			}
		}
	}
	return r
}

// ProbeOutcome is what a Probe found.
type ProbeOutcome int

const (
	// Answered: the member answered in time, or one that has its place.
	Answered ProbeOutcome = iota + 1
	// Unanswered: nothing came in time at any address.
	Unanswered
	// NobodyListens: every address that may lead there refused the connection.
	NobodyListens
)

// ProbeResult answers a Probe.
type ProbeResult struct {
	// Of is the Probe. It is not embedded: a result is no Effect.
	Of      Probe
	Outcome ProbeOutcome
	// AnsweredBy is the incarnation that answered, AnsweredAs the id that it
	// has in this ring; 0 if it is no member.
	AnsweredBy, AnsweredAs uint64
	// Displaced: every address leads to somebody else.
	Displaced bool
}

// found reports whether the member was reached. Another process that is no
// member has its place for good.
func (r ProbeResult) found() bool {
	return r.Outcome == Answered && (r.AnsweredBy == r.Of.Incarnation || r.AnsweredAs == r.Of.ID)
}

// Done completes the Request with the same Ref, once.
type Done struct {
	Ref uint64
	// ID is the member that a join made.
	ID uint64
	// Err is nil, or wraps one of this package's or package ring's sentinels.
	Err error
}

// Relink says whom this member's monitor has to probe from now on.
type Relink struct {
	Epoch, Term uint64
	// Urgent: the monitor has other work by this link than by the one before. Else
	// only the members change that it would turn to next, or tell.
	Urgent bool
	// Self is this member, with the incarnation of this process.
	Self ring.Member
	// Successors in ring order, nearest first; empty in a ring of one.
	Successors []ring.Member
	// Tell are the other voters and the leader, in the order in which they would
	// lead if this member died.
	Tell     []ring.Member
	LeaderID uint64
	Settings ring.Settings
}

// Applied reports committed changes of the ring, in log order, with the state
// after them; without Changes if the whole state came as a snapshot. The owner
// must not modify State.
type Applied struct {
	Index   uint64
	Changes []ring.Change
	State   *ring.State
}

// PeersChanged says to whom messages have to travel from now on: the other
// members, and those who left but whose answers raft still needs (without
// addresses, where nothing else is known of them). Ascending.
type PeersChanged struct{ Peers []Peer }

// Peer is somebody to whom messages travel. Its incarnation is that of the
// process that counts, which the ring may not have recorded yet.
type Peer struct {
	ring.Member
	// Distant: as long as nothing changes, hardly anything does. Neither of
	// both votes, so the way may be opened when there is something to say.
	Distant bool
	// Retired: it was taken out of the ring, and most likely has died.
	Retired bool
}

// ClaimChanged reports that this member gained or lost the claim. It may come
// late; Claim read at the moment of asking decides.
type ClaimChanged struct {
	Claiming bool
	Term     uint64
	Why      string
	// Phases are those of the failover, at its leader's first claim; else zero.
	Phases ring.Phases
}

// SuspicionChanged reports a suspicion that is new here, was taken back, or
// was denied by the leader's own probe; or an accepted certificate.
type SuspicionChanged struct {
	Opinion *ring.Opinion
	// Cleared: the suspicion stands no longer.
	Cleared     bool
	Certificate *Certificate
	Why         string
}

// Removed reports that this member is no longer in the ring. The Node does
// nothing from then on; the owner drops its storage and may join again.
type Removed struct {
	Epoch uint64
	Why   string
	// Unborn: the ring never had a leader as far as is known here. Another one
	// may be founded.
	Unborn bool
}

// Refused reports a message that was dropped since it cannot be true: its sender
// runs another version, its data or this member's are damaged, or somebody
// forges messages. It may come with every message.
type Refused struct {
	From uint64
	Why  string
}

// Superseded reports that another process is this member. The Node does nothing
// from then on. The owner must not act under this member's identity again, and
// tells its operator.
type Superseded struct {
	// By is the other process's incarnation, at Addresses.
	By        uint64
	Addresses []string
	// Behind: this process's log is older than what its member acknowledged.
	Behind bool
}

// Awaited reports that the owner is told at once of what may end this process.
func (Superseded) Awaited() bool { return true }

// Awaited is false for the answer to an append alone, which the leader needs not
// once it has declared itself.
func (s Send) Awaited() bool { return s.Message.Raft.GetType() != raftpb.MsgAppResp }

// Awaited is false: what depends on the write waits for Persisted anyway.
func (Persist) Awaited() bool { return false }

// Awaited is true, since an eviction depends on the probe.
func (Probe) Awaited() bool { return true }

// Awaited is true, since the caller of the request waits.
func (Done) Awaited() bool { return true }

// Awaited is false: the monitor goes on with the link that it has.
func (Relink) Awaited() bool { return false }

// Awaited is false: who leads is in the view before.
func (Applied) Awaited() bool { return false }

// Awaited is false: the ways that are needed now are open.
func (PeersChanged) Awaited() bool { return false }

// Awaited is true, since programs act by the claim.
func (ClaimChanged) Awaited() bool { return true }

// Awaited is true: it decides how peers are dialled.
func (SuspicionChanged) Awaited() bool { return true }

// Awaited is true: the node has to join again.
func (Removed) Awaited() bool { return true }

// Awaited is true: an operator has to know.
func (Refused) Awaited() bool { return true }

// Request is an operator's or a joiner's wish. Only the leader carries it out;
// others complete it at once with ErrNotLeader. Exactly one pointer is set.
type Request struct {
	// Ref is the caller's number for it, unique while it runs.
	Ref uint64

	Join *ring.Join
	// Leave removes a member for good; done when raft too has let it go, so
	// that it may stop. The leader cannot leave before it handed over.
	Leave *ring.Leave
	// Stop says that a member's process is about to end: it leaves, unless all
	// members are about to (ErrRests). The leader has to hand over first.
	Stop  *Stop
	Evict *ring.Evict
	// Handover gives the leadership to member To, or (0) to the heir; done
	// when that one has declared itself.
	Handover *Handover
	Settings *ring.Settings
	// Forget drops former members from the list.
	Forget *ring.Forget
}

// Stop is a member's wish to end.
type Stop struct{ ID uint64 }

// Handover is a planned change of the leader.
type Handover struct {
	To  uint64
	Why string
}
