package election

import (
	"cmp"
	"errors"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election/internal/tracker"
	"github.com/arc-ring/arc/ring"
)

// snapshot returns the data for a snapshot of the present state: the ring, and
// the former members whose log or answers may still be needed.
func (r *replica) snapshot() []byte {
	var gone []ring.Member
	for _, m := range r.gone.All() {
		gone = append(gone, *m)
	}
	if r.ring.Gone(r.cfg.ID) {
		gone = append(gone, ring.Member{ID: r.cfg.ID, Incarnation: r.cfg.Incarnation, Addresses: r.cfg.Addresses})
		slices.SortFunc(gone, func(a, b ring.Member) int { return cmp.Compare(a.ID, b.ID) })
	}
	return r.ring.Snapshot(gone...)
}

// restore takes the state from a snapshot's data.
func (r *replica) restore(s *raftpb.Snapshot) error {
	st, gone, err := readSnapshot(s)
	if err != nil {
		return err
	}
	r.ring, r.conf = st, s.GetMetadata().GetConfState()
	r.applied, r.snapped = s.GetMetadata().GetIndex(), s.GetMetadata().GetIndex()
	r.gone = tracker.Table[ring.Member]{}
	for _, m := range gone {
		if m.ID != r.cfg.ID {
			*r.gone.Ensure(m.ID) = m
		}
	}
	return nil
}

// memoryLog is raft's view of what is durable. A snapshot for another member
// is made of the present state: the one that the log was cut at may not know
// that member, and raft would refuse it.
type memoryLog struct {
	*raft.MemoryStorage
	r *replica
}

func (m memoryLog) Snapshot() (*raftpb.Snapshot, error) {
	r := m.r
	if r.dropped != 0 || r.changingConf || r.applied == 0 {
		// The configuration and the applied index do not belong together now.
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	term, err := m.Term(r.applied)
	if errors.Is(err, raft.ErrUnavailable) {
		return nil, raft.ErrSnapshotTemporarilyUnavailable // applied ahead
	}
	if err != nil {
		return nil, err
	}
	return &raftpb.Snapshot{
		Data:     r.snapshot(),
		Metadata: &raftpb.SnapshotMetadata{Index: new(r.applied), Term: new(term), ConfState: r.conf},
	}, nil
}
