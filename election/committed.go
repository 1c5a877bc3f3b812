package election

import "go.etcd.io/raft/v3/raftpb"

// A configuration counts for a member once it knows that the entry is committed.
// It may have the entry and not know that: the leader's word was lost, or was not
// on the disk when the process ended. So members can count different voters, and
// two of them can wait for each other. One refuses its vote, since its log is
// newer, and does not campaign, since in its configuration it does not vote. The
// other one counts it as a voter and cannot win without it. Either of them may be
// the one with the older configuration.
//
// So votes and the answers to them say what is committed, and the one that knows
// less catches up. The one that refuses has all that the candidate knows to be
// committed, since its log is newer. A candidate that lacks what is committed
// cannot win anyhow: one of the majority that has it is to lead.

// attachCommitted lets a vote, or the answer to one, say what is committed here. Raft
// does not use these fields of them.
func (n *Node) attachCommitted(m *raftpb.Message) {
	switch m.GetType() {
	case raftpb.MsgVote, raftpb.MsgPreVote, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:
	default:
		return
	}
	if term, known := n.termAt(n.commit); known {
		m.Commit, m.RejectHint = new(n.commit), new(term)
	}
}

// learnCommitted is the inverse of attachCommitted. An entry of the same index and
// term is the same one, and so is all before it.
func (n *Node) learnCommitted(m *raftpb.Message) {
	c := &n.campaign
	if m.GetCommit() <= max(n.commit, c.committed) {
		return
	}
	if term, known := n.termAt(m.GetCommit()); known && term == m.GetRejectHint() {
		c.committed = m.GetCommit()
	}
}

// takeCommitted hands raft what votes said, as a heartbeat without a sender, and
// reports whether it was news. A candidacy ends with that.
func (n *Node) takeCommitted() bool {
	if n.campaign.committed <= n.commit || n.campaign.committed > n.lastIndex() || len(n.writes) >= maxWrites {
		return false // with so many writes it is not known where raft's log ends now
	}
	n.trace("learns from votes that all is committed up to index %d", n.campaign.committed)
	n.stepRaft(&raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), To: new(n.cfg.ID), Term: new(n.term), Commit: new(n.campaign.committed)})
	return true
}
