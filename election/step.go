package election

import (
	"bytes"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/ring"
)

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
	n.step(now, func() { n.verdicts.ownSuspicion(s) })
}

// Certify hands in a death certificate that a monitor brought.
func (n *Node) Certify(now Instant, c Certificate) { n.step(now, func() { n.certify(c) }) }

// Probed answers a Probe.
func (n *Node) Probed(now Instant, r ProbeResult) { n.step(now, func() { n.probed(r) }) }

// Persisted says that the Persist with the number is durable.
func (n *Node) Persisted(now Instant, seq uint64) { n.step(now, func() { n.applier.persisted(seq) }) }

// Unreachable says that the transport lost the stream to a member, and with it
// perhaps what was under way.
func (n *Node) Unreachable(now Instant, id uint64) {
	n.step(now, func() {
		if n.leads() {
			n.streamLost(id)
			n.leadership.lead.unsettle(id)
			n.roster.owe(id)
		} else if id == n.raftLead {
			n.roster.doubtTouch()
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
			n.identity.returned = min(n.identity.returned, n.now.Add(-n.ring.Settings.RenewEvery())) // announced at once
		}
	})
}

// Request asks the leader for a change; exactly one Done answers it.
func (n *Node) Request(now Instant, r Request) {
	if n.removed {
		n.emit(Done{Ref: r.Ref, Err: ErrRemoved})
		return
	}
	n.step(now, func() { n.leader.requests.request(r) })
}

func (n *Node) step(now Instant, f func()) {
	if n.removed {
		return
	}
	n.stepping = true
	if lease := n.ring.Settings.Lease(); n.wake != Never && now > max(n.wake, n.now).Add(lease/2) && (n.roster.resumed == 0 || now >= n.roster.resumed.Add(resumedApart*lease)) {
		n.roster.resumed = now
	}
	n.now = max(n.now, now)
	f()
	n.settle()
	n.stepEnds()
}

// stepEnds takes down what is read until the next step.
func (n *Node) stepEnds() {
	n.settled.claimTerm, n.settled.claimEnd = n.leadership.computeClaim()
	n.settled.leaderUntil = n.following.computeLeaderUntil()
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
		if n.leads() && n.leadership.lead.since == n.now && !n.declared() {
			n.leader.winner() // so that its declaration goes with its first append
		}
		n.applier.ready()
		if n.removed {
			continue
		}
		n.voterTimers()
		if n.leads() {
			n.campaign.twoLeft()
			n.leader.leadTimers()
		} else {
			n.campaign.campaignTimers()
		}
		n.verdicts.suspectTimers()
		n.offers.offerRule()
		n.memberTimers()
		n.membership.inquiryRule()
		if n.removed {
			continue
		}
		n.leadership.updateClaim()
		n.links.relink()
		if !n.canTake() {
			return
		}
	}
	panic("election: the state does not settle: " + n.status.reason(n.now, n.status.tolerance(n.now).needs(), n.Missing(n.now)))
}

func (n *Node) receive(m Message) {
	if m.To != n.cfg.ID || m.From == n.cfg.ID || m.From == 0 {
		return
	}
	if m.Evicted != nil {
		n.membership.noticed(m.From, *m.Evicted)
		return
	}
	if h := m.Held; h != nil {
		if s, out := n.identity.heldBy(m.From, *h); out {
			n.supersede(s)
		}
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
		n.send(Message{To: m.From, Return: n.identity.self()})
	}
	if member && !n.identity.counts(from, m) {
		return
	}
	if member || n.needed(m.From) {
		if n.roster.hears(m.From) && n.isVoter(m.From) {
			n.campaign.startOver()
		}
	}
	n.roster.answered(m.From)
	n.identity.rely(m)
	switch {
	case m.Raft != nil:
		n.receiveRaft(m.From, m.Raft)
	case m.Renew != nil:
		n.recorder.lossOver(m.Renew.Term)
		n.following.renewed(m.From, *m.Renew)
	case m.RenewAck != nil:
		n.leader.renewal.renewAcked(m.From, *m.RenewAck)
	case m.Suspicion != nil:
		n.verdicts.suspicion(*m.Suspicion)
	case m.Certificate != nil:
		n.certify(*m.Certificate)
	case m.Release != nil:
		n.following.released(*m.Release)
	case m.Return != nil:
		n.leader.memberReturned(m.From, *m.Return)
	case m.Check != nil && m.Check.Answer:
		n.following.checkAnswered(m.From, *m.Check)
	case m.Check != nil:
		n.following.answerCheck(m.From)
	case m.Takeover != nil && m.Takeover.Answer:
		n.leader.caretaker.takeoverAnswered(m.From, *m.Takeover)
	case m.Takeover != nil:
		n.offers.takeoverOffered(m.From, *m.Takeover)
	case m.Unwatched != nil:
		n.leader.watch.unwatchedBy(m.From)
	case m.Inspect != nil:
		n.verdicts.inspect(m.From, *m.Inspect)
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
			n.roster.leaderHeard = n.now
			n.promises.supersededBy(m.GetTerm())
		}
	case raftpb.MsgVote, raftpb.MsgPreVote:
		if n.leadership.silent() {
			n.leader.renewal.giveUp()
		}
		if !n.promises.free() {
			n.promises.holdVote(m, n.identity.holder(n.memberOrGone(from)))
			return
		}
		// A leader's own word (transfer) needs no silence; anybody else's
		// wish is heard only when raft's leader is silent or known dead.
		if !bytes.Equal(m.GetContext(), campaignTransfer) {
			if !n.campaign.leaderLost() && !n.following.releasedByLeader() {
				return
			}
			n.forgetLeader()
		}
		n.campaign.learnCommitted(m)
		if !n.isVoter(n.cfg.ID) && n.isFollower() && n.raftLead == 0 {
			n.campaign.takeCommitted() // it may vote, and then it may campaign
		}
	case raftpb.MsgPreVoteResp, raftpb.MsgVoteResp, raftpb.MsgTimeoutNow:
		if n.now < n.roster.peers.Value(from).quiet {
			return
		}
		n.campaign.learnCommitted(m)
		if m.GetType() == raftpb.MsgTimeoutNow {
			n.recorder.learnClaim(m)
		}
		if !n.promises.free() {
			if m.GetType() == raftpb.MsgTimeoutNow {
				m = proto.CloneOf(m)
				m.Context = nil                                                 // its ages count from now
				n.promises.holdVote(m, n.identity.holder(n.memberOrGone(from))) // it may have overtaken the release that belongs to it
			}
			return
		}
		if m.GetType() == raftpb.MsgTimeoutNow {
			n.recorder.takeoverAsked()
			n.campaign.campaignAsked()
		}
		n.campaign.voteAnswered(from, m)
		if !m.GetReject() {
			n.recorder.learnClaim(m)
			if m.GetType() == raftpb.MsgVoteResp {
				n.roster.peers.Ensure(from).votedBy = m.GetTerm()
			}
		} else if m.GetType() == raftpb.MsgVoteResp && m.GetTerm() == n.term {
			n.campaign.candidacy.refused = true
		}
	case raftpb.MsgAppResp:
		if !n.inConf(from) {
			return // a former member that does not know it yet
		}
	case raftpb.MsgHeartbeatResp:
		if n.leads() {
			n.leadership.retrySnapshot(from)
			n.leadership.lead.heartbeatAnswered(from)
		}
	default:
		return // nothing else travels between members
	}
	n.follow(n.hear(m, m.GetType() == raftpb.MsgTimeoutNow))
}

// memberTimers does what every member does beside voting: tell the leader of
// a restart, and complete a handover that was taken over, or not.
func (n *Node) memberTimers() {
	if w := n.leadership.handedOver; w != nil && !n.leads() {
		if n.now >= w.deadline {
			n.leadership.handedOver = nil
			n.emit(Done{Ref: w.ref, Err: ErrNoAnswer})
		} else {
			n.wakeAt(w.deadline)
		}
	}
	n.following.proofTimers()
	n.membership.leaveTimers()
	n.leader.watch.unwatchedRule()
	me, ok := n.ring.Member(n.cfg.ID)
	if n.ring.RingID == "" && n.restarted && n.raftLead != 0 && !n.removed {
		// The ring may have recorded its former process, which ended before anything
		// was on its disk. The leader gives it nothing before it says what it is.
		n.identity.announce(inquireAgain)
	}
	if n.removed || !ok {
		return
	}
	moved := len(n.cfg.Addresses) > 0 && !slices.Equal(me.Addresses, n.cfg.Addresses)
	changed := moved || me.Incarnation != n.cfg.Incarnation || me.Version != n.cfg.Version || me.LogVersion != n.cfg.LogVersion
	if n.leads() {
		if changed && n.identity.mayRecord() {
			n.leader.proposals.proposeOnce(proposalKey{kind: "return", id: me.ID}, ring.Command{Return: &n.identity.self().Return})
		}
		return
	}
	// A learner that has everything hears nothing: it is lonely only if
	// something speaks against its being in touch.
	lonely := n.roster.leaderHeard.Add(lonelyAfter * n.ring.Settings.Lease())
	if !n.isVoter(n.cfg.ID) && n.roster.leaderHeard > 0 {
		lonely = Never
		if n.roster.touchDoubted > n.roster.leaderHeard {
			lonely = n.roster.touchDoubted.Add(lonelyAfter * n.ring.Settings.Lease())
		}
	}
	switch {
	case changed:
		// Everybody is told, since certificates of the former process may
		// still be under way to everybody.
		n.identity.announce(n.ring.Settings.RenewEvery())
	case n.now >= lonely:
		// Perhaps the ring went on without this member: whoever knows answers
		// with a notice.
		n.identity.announce(n.ring.Settings.Lease())
	default:
		n.wakeAt(lonely)
	}
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
	n.leader.stepDown()
	n.leadership.updateClaim()
	if w := n.leadership.handedOver; w != nil {
		n.leadership.handedOver = nil
		n.emit(Done{Ref: w.ref, Err: why})
	}
	n.removed = true
}
