package election

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/ring"
)

// electionTicks is how many of a leader's raft ticks without a quorum make it
// step down (raft's CheckQuorum).
const electionTicks = 4

// campaignTransfer is how raft marks votes that a leader itself asked for.
var campaignTransfer = []byte("CampaignTransfer")

// lonelyAfter is after how many leases without a word of a leader a member asks
// whether it still is one.
const lonelyAfter = 4

// resumedApart is for how many leases a process that stands still again and again
// gives nobody another lease: the silent have to be evicted at last.
const resumedApart = 4

// Tick tells the time. Calling it early is harmless.
func (n *Node) Tick(now Instant) { n.step(now, func() {}) }

// Receive hands in a message from another member.
func (n *Node) Receive(now Instant, m Message) { n.step(now, func() { n.receive(m) }) }

// Report hands in what this member's own monitor suspects.
func (n *Node) Report(now Instant, s Suspicion) {
	s.By = n.cfg.ID
	n.step(now, func() { n.ownSuspicion(s) })
}

// Certify hands in a death certificate that a monitor brought.
func (n *Node) Certify(now Instant, c Certificate) { n.step(now, func() { n.certify(c) }) }

// Probed answers a Probe.
func (n *Node) Probed(now Instant, r ProbeResult) { n.step(now, func() { n.probed(r) }) }

// Persisted says that the Persist with the number is durable.
func (n *Node) Persisted(now Instant, seq uint64) { n.step(now, func() { n.persisted(seq) }) }

// Unreachable says that the transport lost the stream to a member, and with it
// perhaps what was under way.
func (n *Node) Unreachable(now Instant, id uint64) {
	n.step(now, func() {
		if n.lead != nil {
			n.rn.ReportUnreachable(id)
			n.rn.ReportSnapshot(id, raft.SnapshotFailure) // ignored unless one was under way
			n.lead.unsettle(id)
			n.owe(id)
		} else if id == n.raftLead {
			n.doubtTouch()
		}
	})
}

// Readdress says where this member is reached now. It tells the others, and the
// ring commits it; nothing else of the member changes. While it is empty the
// ring's knowledge stands.
func (n *Node) Readdress(now Instant, addresses []string) {
	n.step(now, func() {
		if !slices.Equal(n.cfg.Addresses, addresses) {
			n.cfg.Addresses = slices.Clone(addresses)
			n.returned = min(n.returned, n.now.Add(-n.ring.Settings.RenewEvery())) // announced at once
		}
	})
}

// Request asks the leader for a change; exactly one Done answers it.
func (n *Node) Request(now Instant, r Request) {
	if n.removed {
		n.emit(Done{Ref: r.Ref, Err: ErrRemoved})
		return
	}
	n.step(now, func() { n.request(r) })
}

func (n *Node) step(now Instant, f func()) {
	if n.removed {
		return
	}
	n.stepping = true
	if lease := n.ring.Settings.Lease(); n.wake != Never && now > max(n.wake, n.now).Add(lease/2) && (n.resumed == 0 || now >= n.resumed.Add(resumedApart*lease)) {
		n.resumed = now
	}
	n.now = max(n.now, now)
	f()
	n.settle()
	n.stepEnds()
}

// stepEnds takes down what is read until the next step.
func (n *Node) stepEnds() {
	n.settled.claimTerm, n.settled.claimEnd = n.claimUntil()
	n.settled.leaderUntil = n.leaderUntil()
	n.stepping = false
}

// settle carries on until nothing more follows from the present state at the
// present time, and works out when to look again.
func (n *Node) settle() {
	for range 100 {
		if n.removed {
			n.wake = Never
			return
		}
		n.wake = Never
		if n.lead != nil && n.lead.since == n.now && !n.declared() {
			n.winner() // so that its declaration goes with its first append
		}
		n.ready()
		if n.removed {
			continue
		}
		n.voterTimers()
		if n.lead != nil {
			n.twoLeft()
			n.leadTimers()
		} else {
			n.campaignTimers()
		}
		n.suspectTimers()
		n.offerRule()
		n.memberTimers()
		n.inquiryRule()
		if n.removed {
			continue
		}
		n.updateClaim()
		n.relink()
		if len(n.writes) >= maxWrites || !n.rn.HasReady() {
			return
		}
	}
	panic("election: the state does not settle: " + n.reason(n.now, n.tolerance(n.now).needs(), n.Missing(n.now)))
}

func (n *Node) receive(m Message) {
	if m.To != n.cfg.ID || m.From == n.cfg.ID || m.From == 0 {
		return
	}
	if m.Evicted != nil {
		n.noticed(m.From, *m.Evicted)
		return
	}
	if h := m.Held; h != nil {
		n.heldBy(m.From, *h)
		return
	}
	if n.ring.Gone(m.From) && !n.needed(m.From) {
		n.notice(m.From)
		return
	}
	from := n.memberOrGone(m.From)
	member := from.ID != 0
	if r := m.Return; r != nil && r.Ask {
		// The answer asks for nothing: neither side may count the other one yet.
		n.send(Message{To: m.From, Return: n.self()})
	}
	if member && !n.counts(from, m) {
		return
	}
	if member || n.needed(m.From) {
		n.hears(m.From)
	}
	n.answered(m.From)
	n.rely(m)
	switch {
	case m.Raft != nil:
		n.receiveRaft(m.From, m.Raft)
	case m.Renew != nil:
		n.lossOver(m.Renew.Term)
		n.renewed(m.From, *m.Renew)
	case m.RenewAck != nil:
		n.renewAcked(m.From, *m.RenewAck)
	case m.Suspicion != nil:
		n.suspicion(*m.Suspicion)
	case m.Certificate != nil:
		n.certify(*m.Certificate)
	case m.Release != nil:
		n.released(*m.Release)
	case m.Return != nil:
		n.memberReturned(m.From, *m.Return)
	case m.Check != nil && m.Check.Answer:
		n.checkAnswered(m.From, *m.Check)
	case m.Check != nil:
		n.answerCheck(m.From)
	case m.Takeover != nil && m.Takeover.Answer:
		n.takeoverAnswered(m.From, *m.Takeover)
	case m.Takeover != nil:
		n.takeoverOffered(m.From, *m.Takeover)
	case m.Unwatched != nil:
		n.unwatchedBy(m.From)
	case m.Inspect != nil:
		n.inspect(m.From, *m.Inspect)
	}
}

// hears notes that a member was heard now.
func (n *Node) hears(id uint64) {
	p := n.peers.Ensure(id)
	last := p.heard
	p.heard = markAt(n.now)
	if last.set && n.now >= last.at.Add(n.ring.Settings.Lease()) && n.isVoter(id) {
		n.startOver()
	}
}

// receiveRaft filters what may reach raft. Losing a message is always safe
// there, so a promise is kept by not letting votes through.
func (n *Node) receiveRaft(from uint64, m *raftpb.Message) {
	if m.GetFrom() != from || m.GetTo() != n.cfg.ID {
		return
	}
	if len(n.writes) >= maxWrites && m.GetType() == raftpb.MsgHeartbeat && m.GetCommit() > n.commit {
		return // where raft's log ends now is not known, and raft relies on it
	}
	if err := n.plausible(m); err != nil {
		n.refuse(from, fmt.Sprintf("%s: %v", m.GetType(), err))
		return
	}
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if m.GetTerm() >= n.term {
			n.leaderHeard = n.now
			n.supersededBy(m.GetTerm())
		}
	case raftpb.MsgVote, raftpb.MsgPreVote:
		if n.silent() {
			n.giveUp()
		}
		if !n.free() {
			n.holdVote(m)
			return
		}
		// A leader's own word (transfer) needs no silence; anybody else's
		// wish is heard only when raft's leader is silent or known dead.
		if !bytes.Equal(m.GetContext(), campaignTransfer) {
			if !n.leaderLost() && !n.releasedByLeader() {
				return
			}
			n.forgetLeader()
		}
		n.learnCommitted(m)
		if !n.isVoter(n.cfg.ID) && n.role == raft.StateFollower && n.raftLead == 0 {
			n.takeCommitted() // it may vote, and then it may campaign
		}
	case raftpb.MsgPreVoteResp, raftpb.MsgVoteResp, raftpb.MsgTimeoutNow:
		if n.now < n.peers.Value(from).quiet {
			return
		}
		n.learnCommitted(m)
		if m.GetType() == raftpb.MsgTimeoutNow {
			n.learnClaim(m)
		}
		if !n.free() {
			if m.GetType() == raftpb.MsgTimeoutNow {
				m = proto.CloneOf(m)
				m.Context = nil // its ages count from now
				n.holdVote(m)   // it may have overtaken the release that belongs to it
			}
			return
		}
		if m.GetType() == raftpb.MsgTimeoutNow {
			n.takeoverAsked()
			n.campaignAsked()
		}
		n.voteAnswered(from, m)
		if !m.GetReject() {
			n.learnClaim(m)
			if m.GetType() == raftpb.MsgVoteResp {
				n.peers.Ensure(from).votedBy = m.GetTerm()
			}
		} else if m.GetType() == raftpb.MsgVoteResp && m.GetTerm() == n.term {
			n.campaign.refused = true
		}
	case raftpb.MsgAppResp:
		if !n.inConf(from) {
			return // a former member that does not know it yet
		}
	case raftpb.MsgHeartbeatResp:
		if n.lead != nil {
			n.retrySnapshot(from)
			n.lead.heartbeatAnswered(from)
		}
	default:
		return // nothing else travels between members
	}
	n.forced = m.GetType() == raftpb.MsgTimeoutNow
	if err := n.rn.Step(m); err != nil {
		n.trace("raft refuses %v from %d: %v", m.GetType(), from, err)
	}
	n.refresh()
	n.forced = false
}

// refuse drops a message that no member sends which works as it should, and
// says so.
func (n *Node) refuse(from uint64, why string) {
	n.trace("refuses a message from %d: %s", from, why)
	n.emit(Refused{From: from, Why: why})
}

// memberTimers does what every member does beside voting: tell the leader of
// a restart, and complete a handover that was taken over, or not.
func (n *Node) memberTimers() {
	if w := n.handedOver; w != nil && n.lead == nil {
		if n.now >= w.deadline {
			n.handedOver = nil
			n.emit(Done{Ref: w.ref, Err: ErrNoAnswer})
		} else {
			n.wakeAt(w.deadline)
		}
	}
	n.proofTimers()
	n.leaveTimers()
	n.unwatchedRule()
	me, ok := n.ring.Member(n.cfg.ID)
	if n.ring.RingID == "" && n.restarted && n.raftLead != 0 && !n.removed {
		// The ring may have recorded its former process, which ended before anything
		// was on its disk. The leader gives it nothing before it says what it is.
		n.announce(inquireAgain)
	}
	if n.removed || !ok {
		return
	}
	moved := len(n.cfg.Addresses) > 0 && !slices.Equal(me.Addresses, n.cfg.Addresses)
	changed := moved || me.Incarnation != n.cfg.Incarnation || me.Version != n.cfg.Version || me.LogVersion != n.cfg.LogVersion
	if n.lead != nil {
		if changed && n.mayRecord() {
			n.proposeOnce(proposalKey{kind: "return", id: me.ID}, ring.Command{Return: &n.self().Return})
		}
		return
	}
	// A learner that has everything hears nothing: it is lonely only if
	// something speaks against its being in touch.
	lonely := n.leaderHeard.Add(lonelyAfter * n.ring.Settings.Lease())
	if !n.isVoter(n.cfg.ID) && n.leaderHeard > 0 {
		lonely = Never
		if n.touchDoubted > n.leaderHeard {
			lonely = n.touchDoubted.Add(lonelyAfter * n.ring.Settings.Lease())
		}
	}
	switch {
	case changed:
		// Everybody is told, since certificates of the former process may
		// still be under way to everybody.
		n.announce(n.ring.Settings.RenewEvery())
	case n.now >= lonely:
		// Perhaps the ring went on without this member: whoever knows answers
		// with a notice.
		n.announce(n.ring.Settings.Lease())
	default:
		n.wakeAt(lonely)
	}
}

// doubtTouch notes that this member may be cut off: it lost its stream to the
// leader, or its own monitor suspects somebody.
func (n *Node) doubtTouch() {
	if n.touchDoubted <= max(n.leaderHeard, n.leaderShown) {
		n.touchDoubted = n.now
	}
}

// notice tells a former member that it is one.
func (n *Node) notice(id uint64) {
	n.send(Message{To: id, Evicted: &EvictedNotice{RingID: n.ring.RingID, ID: id, Epoch: n.ring.Epoch}})
}

func (n *Node) self() *Return {
	last, _ := n.store.LastIndex() // fails for no log in memory
	r := &Return{
		Return: ring.Return{ID: n.cfg.ID, Incarnation: n.cfg.Incarnation, Addresses: n.cfg.Addresses, Version: n.cfg.Version, LogVersion: n.cfg.LogVersion},
		Former: n.cfg.Former, Last: last, Term: n.term,
	}
	if len(r.Addresses) == 0 {
		me, _ := n.ring.Member(n.cfg.ID)
		r.Addresses = me.Addresses
	}
	return r
}

// announce sends this incarnation to all members every so often.
func (n *Node) announce(every time.Duration) {
	if n.now >= n.returned.Add(every) {
		n.returned = n.now
		for _, m := range n.ring.Members {
			if m.ID != n.cfg.ID {
				n.send(Message{To: m.ID, Return: n.self()})
			}
		}
		// Others may decide about this member too: voters that are out of the ring as far
		// as it knows, and a leader that joined later than it knows.
		for _, id := range slices.Compact(append(n.otherVoters(), n.raftLead)) {
			if _, known := n.ring.Member(id); !known && id != 0 && id != n.cfg.ID {
				n.send(Message{To: id, Return: n.self()})
			}
		}
	}
	n.wakeAt(n.returned.Add(every))
}

// leaveTimers lets a member that was taken out of the ring go as soon as the
// others say that raft does without it too. Who never voted goes after a while.
func (n *Node) leaveTimers() {
	if n.leavingSince == 0 {
		return
	}
	// A voter never goes by time: the others may need its log.
	if !n.mayVote() || len(n.ring.Members) == 0 {
		end := n.leavingSince.Add(2 * n.ring.Settings.Lease()).Add(time.Second)
		if n.now >= end || len(n.ring.Members) == 0 {
			n.remove(n.ring.Epoch, n.leavingWhy)
			return
		}
		n.wakeAt(end)
	}
	n.announce(n.ring.Settings.RenewEvery() / 4) // any message will do: the answer is the notice
}

// mayVote reports whether raft may count on a member that was taken out of the ring: it
// voted then, or has become a voter since by a change that was in the log already, be
// that committed or not.
func (n *Node) mayVote() bool {
	n.leavingVoter = n.leavingVoter || n.isVoter(n.cfg.ID) || n.promotedAhead()
	return n.leavingVoter
}

func (n *Node) remove(epoch uint64, why string) {
	if n.removed {
		return
	}
	n.end(ErrRemoved)
	n.trace("removed: %s", why)
	n.emit(Removed{Epoch: epoch, Why: why})
}

// end lets the Node do nothing from now on. A leader may still have had a lease.
func (n *Node) end(why error) {
	n.stepDown()
	n.updateClaim()
	if w := n.handedOver; w != nil {
		n.handedOver = nil
		n.emit(Done{Ref: w.ref, Err: why})
	}
	n.removed = true
}
