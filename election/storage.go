package election

import (
	"cmp"
	"errors"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// snapshot returns the data for a snapshot of the present state: the ring, and
// the former members whose log or answers may still be needed.
func (n *Node) snapshot() []byte {
	former := make([]ring.Member, 0, n.gone.Len()+1)
	for _, m := range n.gone.All() {
		former = append(former, *m)
	}
	if n.leavingSince != 0 {
		former = append(former, ring.Member{ID: n.cfg.ID, Incarnation: n.cfg.Incarnation, Addresses: n.cfg.Addresses})
		slices.SortFunc(former, func(a, b ring.Member) int { return cmp.Compare(a.ID, b.ID) })
	}
	return n.ring.Snapshot(former...)
}

// restore takes the state from a snapshot's data.
func (n *Node) restore(s *raftpb.Snapshot) error {
	st, gone, err := readSnapshot(s)
	if err != nil {
		return err
	}
	n.ring, n.conf = st, s.GetMetadata().GetConfState()
	n.applied, n.snapped = s.GetMetadata().GetIndex(), s.GetMetadata().GetIndex()
	n.gone.Clear()
	for _, m := range gone {
		if m.ID != n.cfg.ID {
			*n.gone.Ensure(m.ID) = m
		}
	}
	return nil
}

// memoryLog is raft's view of what is durable. A snapshot for another member
// is made of the present state: the one that the log was cut at may not know
// that member, and raft would refuse it.
type memoryLog struct {
	*raft.MemoryStorage
	n *Node
}

func (m memoryLog) Snapshot() (*raftpb.Snapshot, error) {
	n := m.n
	if n.dropped != 0 || n.changingConf || n.applied == 0 {
		// The configuration and the applied index do not belong together now.
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	term, err := m.Term(n.applied)
	if errors.Is(err, raft.ErrUnavailable) {
		return nil, raft.ErrSnapshotTemporarilyUnavailable // applied ahead
	}
	if err != nil {
		return nil, err
	}
	return &raftpb.Snapshot{
		Data:     n.snapshot(),
		Metadata: &raftpb.SnapshotMetadata{Index: new(n.applied), Term: new(term), ConfState: n.conf},
	}, nil
}
