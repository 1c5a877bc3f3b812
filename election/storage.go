package election

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// memoryLog is raft's view of what is durable. A snapshot for another member
// is made of the present state: the one that the log was cut at may not know
// that member, and raft would refuse it.
type memoryLog struct {
	*raft.MemoryStorage
	n *Node
}

func (m memoryLog) Snapshot() (*raftpb.Snapshot, error) {
	n := m.n
	if n.dropped != 0 || n.changingConf || n.applied == 0 || len(n.gone) > 0 {
		// The configuration and the applied index do not belong together now,
		// or a snapshot would hide that former members are still needed.
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	term, err := m.Term(n.applied)
	if err != nil {
		return nil, err
	}
	return &raftpb.Snapshot{
		Data:     n.ring.Snapshot(),
		Metadata: &raftpb.SnapshotMetadata{Index: new(n.applied), Term: new(term), ConfState: n.conf},
	}, nil
}
