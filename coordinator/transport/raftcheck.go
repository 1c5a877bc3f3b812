package transport

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
)

// checkRaft refuses messages that only a node's own raft may step, and those
// on whose shape raft relies so far that it panics or corrupts its log.
func checkRaft(m *raftpb.Message) error {
	switch m.GetType() {
	case raftpb.MsgApp:
		if err := checkEntries(m); err != nil {
			return err
		}
	case raftpb.MsgSnap:
		meta := m.GetSnapshot().GetMetadata()
		if meta.GetIndex() == 0 || meta.GetTerm() == 0 || meta.GetConfState() == nil {
			return errors.New("no snapshot in it")
		}
		if meta.GetTerm() > m.GetTerm() {
			return fmt.Errorf("snapshot of term %d in a message of term %d", meta.GetTerm(), m.GetTerm())
		}
	case raftpb.MsgProp, raftpb.MsgReadIndex:
		// These carry no term, and raft takes the first entry for granted.
		if len(m.GetEntries()) == 0 {
			return errors.New("no entry in it")
		}
		return nil
	case raftpb.MsgTransferLeader:
		return nil
	case raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp,
		raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp, raftpb.MsgTimeoutNow, raftpb.MsgReadIndexResp:
	default:
		return errors.New("this type does not travel between members")
	}
	if m.GetTerm() == 0 {
		// Raft takes a message without a term for one of its own node.
		return errors.New("no term in it")
	}
	if len(m.GetResponses()) > 0 {
		return errors.New("it carries answers for a storage thread")
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
