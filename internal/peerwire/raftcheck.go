package peerwire

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// maxContext bounds what a vote says about its campaign, in bytes.
const maxContext = 64

// withContext are the messages that may have a context. A vote says by it that a
// leader asked for the campaign. The answer to one, and the word that appoints a
// leader, say what the sender knows of the newest claim. Raft takes that of other
// messages for its own number of a read, and panics at a short one.
var withContext = []raftpb.MessageType{raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp, raftpb.MsgTimeoutNow}

// checkRaft refuses messages that only a node's own raft may step, and those
// on whose shape raft relies so far that it panics or corrupts its log.
//
// Proposals, reads and transfers are not sent from member to member: a proposal
// is not forwarded, and nothing is read or transferred over raft.
func checkRaft(m *raftpb.Message) error {
	if badTerm(m.GetTerm()) || m.GetLogTerm() >= ring.TermLimit {
		// Raft takes a message without a term for one of its own node.
		return fmt.Errorf("term %d, log term %d", m.GetTerm(), m.GetLogTerm())
	}
	if m.GetIndex() >= election.IndexLimit || m.GetCommit() >= election.IndexLimit {
		return fmt.Errorf("index %d, commit index %d", m.GetIndex(), m.GetCommit())
	}
	if k := len(m.GetContext()); k > maxContext || k > 0 && !slices.Contains(withContext, m.GetType()) {
		return fmt.Errorf("a context of %d bytes", k)
	}
	if len(m.GetResponses()) > 0 {
		return errors.New("it carries answers for a storage thread")
	}
	if m.Snapshot != nil && m.GetType() != raftpb.MsgSnap || len(m.GetEntries()) > 0 && m.GetType() != raftpb.MsgApp {
		return fmt.Errorf("%d entries, a snapshot of %d bytes", len(m.GetEntries()), len(m.GetSnapshot().GetData()))
	}
	switch m.GetType() {
	case raftpb.MsgApp:
		return checkEntries(m)
	case raftpb.MsgSnap:
		meta := m.GetSnapshot().GetMetadata()
		if meta.GetIndex() == 0 || meta.GetTerm() == 0 || meta.GetConfState() == nil {
			return errors.New("no snapshot in it")
		}
		if meta.GetTerm() > m.GetTerm() || meta.GetIndex() >= election.IndexLimit {
			return fmt.Errorf("snapshot at index %d of term %d in a message of term %d", meta.GetIndex(), meta.GetTerm(), m.GetTerm())
		}
	case raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp,
		raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp, raftpb.MsgTimeoutNow:
	default:
		return errors.New("this type does not travel between members")
	}
	return nil
}

// checkEntries: indexes without a gap after the previous one, terms that never
// fall and never pass the leader's.
func checkEntries(m *raftpb.Message) error {
	index, term := m.GetIndex(), m.GetLogTerm()
	for _, e := range m.GetEntries() {
		if e.GetIndex() != index+1 || e.GetTerm() < term {
			return fmt.Errorf("entry %d of term %d follows entry %d of term %d", e.GetIndex(), e.GetTerm(), index, term)
		}
		index, term = e.GetIndex(), e.GetTerm()
	}
	if term > m.GetTerm() {
		return fmt.Errorf("entry %d of term %d in a message of term %d", index, term, m.GetTerm())
	}
	return nil
}
