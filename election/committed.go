package election

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

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

// aboutVotes are the messages of candidates and the answers to them.
var aboutVotes = []raftpb.MessageType{raftpb.MsgVote, raftpb.MsgPreVote, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp}

// attachCommitted lets a vote, or the answer to one, say what is committed here. Raft
// does not use these fields of them.
func (r *replica) attachCommitted(m *raftpb.Message) {
	if !slices.Contains(aboutVotes, m.GetType()) {
		return
	}
	if term, known := r.termAt(r.commit); known {
		m.Commit, m.RejectHint = new(r.commit), new(term)
	}
}

// learnCommitted is the inverse of attachCommitted. An entry of the same index and
// term is the same one, and so is all before it.
func (c *campaign) learnCommitted(m *raftpb.Message) {
	if m.GetCommit() <= max(c.commit, c.committed) {
		return
	}
	if term, known := c.termAt(m.GetCommit()); known && term == m.GetRejectHint() {
		c.committed = m.GetCommit()
	}
}

// takeCommitted hands raft what votes said, as a heartbeat without a sender, and
// reports whether it was news. A candidacy ends with that.
func (c *campaign) takeCommitted() bool {
	if c.candidacy.committed <= c.commit || c.candidacy.committed > c.lastIndex() || len(c.writes) >= maxWrites {
		return false // with so many writes it is not known where raft's log ends now
	}
	c.trace("learns from votes that all is committed up to index %d", c.candidacy.committed)
	c.parent.follow(c.stepRaft(&raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), To: new(c.cfg.ID), Term: new(c.term), Commit: new(c.candidacy.committed)}))
	return true
}
