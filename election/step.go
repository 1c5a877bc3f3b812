package election

import (
	"bytes"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/ring"
)

// elects are the messages that help their receiver to lead.
var elects = []raftpb.MessageType{raftpb.MsgTimeoutNow, raftpb.MsgPreVoteResp, raftpb.MsgVoteResp}

// campaignTransfer is how raft marks votes that a leader itself asked for.
var campaignTransfer = []byte("CampaignTransfer")

// isolationLeases is after how many leases without a word of a leader a member asks
// whether it still is one.
const isolationLeases = 4

// resumedApart is for how many leases a process that stands still again and again
// gives nobody another lease: the silent have to be evicted at last.
const resumedApart = 4

// Tick tells the time. Calling it early is harmless.
func (n *Node) Tick(now Instant) { n.step(now, "tick", func() {}) }

// Receive hands in a message from another member.
func (n *Node) Receive(now Instant, m Message) { n.step(now, "receive", func() { n.receive(m) }) }

// Report hands in what this member's own monitor suspects.
func (n *Node) Report(now Instant, s ring.Opinion) {
	s.By = n.cfg.ID
	n.step(now, "report", func() { n.verdicts.ownSuspicion(s) })
}

// Certify hands in a death certificate that a monitor brought.
func (n *Node) Certify(now Instant, c Certificate) {
	n.step(now, "certificate", func() { n.certify(c) })
}

// Probed answers a Probe.
func (n *Node) Probed(now Instant, r ProbeResult) {
	n.step(now, "probe answer", func() { n.probed(r) })
}

// Persisted says that the Persist with the number is durable.
func (n *Node) Persisted(now Instant, seq uint64) {
	n.step(now, "persisted", func() { n.applier.persisted(seq) })
}

// Unreachable says that the transport lost the stream to a member, and with it
// perhaps what was under way.
func (n *Node) Unreachable(now Instant, id uint64) {
	n.step(now, "stream lost", func() {
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
	n.step(now, "readdress", func() {
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
	n.step(now, "request", func() { n.leader.requests.request(r) })
}

func (n *Node) step(now Instant, input string, f func()) {
	if n.removed {
		return
	}
	if lease := n.ring.Settings.Lease(); n.wake != Never && now > max(n.wake, n.now).Add(lease/2) && (n.roster.resumed == 0 || now >= n.roster.resumed.Add(resumedApart*lease)) {
		n.roster.resumed = now
	}
	n.now, n.running = max(n.now, now), input
	f()
	n.settle()
	n.stepEnds()
}

// stepEnds takes down what is read until the next step.
func (n *Node) stepEnds() {
	n.settled.claimTerm, n.settled.claimEnd = n.leadership.claimUntil()
	n.settled.leaderUntil = n.following.leaderUntil()
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
		n.identity.heldBy(m.From, *h)
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
	if (member || n.needed(m.From)) && n.roster.hears(m.From) && n.isVoter(m.From) {
		n.campaign.startOver()
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
		n.leader.renewAcked(m.From, *m.RenewAck)
	case m.Opinion != nil:
		n.verdicts.suspicion(*m.Opinion)
	case m.Certificate != nil:
		n.certify(*m.Certificate)
	case m.Release != nil:
		n.following.released(m.From, *m.Release)
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
		n.refuse(from, "%s: %v", m.GetType(), err)
		return
	}
	if n.now < n.roster.peers.Value(from).quiet && slices.Contains(elects, m.GetType()) {
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
			n.leader.giveUp()
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
	case raftpb.MsgTimeoutNow:
		n.recorder.learnClaim(m)
		if !n.promises.free() {
			m = proto.CloneOf(m)
			m.Context = nil                                                 // its ages count from now
			n.promises.holdVote(m, n.identity.holder(n.memberOrGone(from))) // it may have overtaken the release that belongs to it
			return
		}
		n.recorder.takeoverAsked()
		n.campaign.campaignAsked()
	case raftpb.MsgPreVoteResp, raftpb.MsgVoteResp:
		n.campaign.learnCommitted(m)
		if !n.promises.free() {
			return
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
	n.follow(n.stepRaft(m))
}

func (n *Node) remove(r Removed) { n.end(ErrRemoved, r, "removed: %s", r.Why) }

// supersede ends this process's part in the ring: another one is the member, or
// this one's log lost what the member had acknowledged.
func (n *Node) supersede(s Superseded) {
	n.end(ErrSuperseded, s, "superseded by process %d at %v (behind: %v)", s.By, s.Addresses, s.Behind)
}

// end lets the Node do nothing from now on. A leader may still have had a lease, so it
// stops acting before the owner says why.
func (n *Node) end(why error, e Effect, format string, args ...any) {
	if n.removed {
		return
	}
	n.leader.stepDown()
	n.leadership.updateClaim()
	n.leadership.endHandedOver(why)
	n.removed = true
	n.trace(format, args...)
	n.emit(e)
}

// Pinged hands in a watcher's probe, in the order of their receipt; every one
// that is answered and carries a grant, also while another member leads.
func (n *Node) Pinged(now Instant, p Ping) { n.step(now, "ping", func() { n.lease.pinged(p) }) }

// Answered hands in what another member says of this one.
func (n *Node) Answered(now Instant, s Standing) {
	n.step(now, "answer", func() {
		q := &n.membership.inquiry
		if q.since == 0 || s.From == 0 || s.From == n.cfg.ID || n.ring.RingID != "" && s.RingID != n.ring.RingID {
			return
		}
		n.roster.peers.Ensure(s.From).answer = &s
		n.identity.followLeader(s)
		n.membership.judge()
	})
}

// MonitorRuns says whether this member's own monitor does its work. While it
// does not, the leader is told that the successor is unwatched.
func (n *Node) MonitorRuns(now Instant, runs bool) {
	n.step(now, "monitor runs", func() {
		if w := n.leader.watch; w.unwatched == runs {
			w.unwatched, w.tellUnwatched = !runs, n.now
		}
	})
}

// probed takes the answer to a Probe. A suspicion is confirmed by silence on
// every path, or by a host that says that nobody listens.
func (n *Node) probed(r ProbeResult) {
	defer n.identity.meet(r)
	if n.verdicts.lookElsewhere(r) || n.verdicts.lookAgain(r) {
		return
	}
	if r.Of.Recorded {
		votes, doubt := n.identity.questioned(r)
		for _, v := range votes {
			n.receiveRaft(r.Of.ID, v)
		}
		if doubt {
			n.membership.doubt()
		}
		return
	}
	if n.leads() {
		n.leader.caretaker.heirProbed(r)
		n.leader.requests.holderProbed(r)
	}
	n.verdicts.inspected(r)
	n.verdicts.confirm(r)
}
