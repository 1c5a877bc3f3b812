package election_test

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

// disk is what a node of the harness has written.
type disk struct {
	hard    *raftpb.HardState
	snap    *raftpb.Snapshot
	entries []*raftpb.Entry
	bound   time.Duration
}

func (d *disk) save(p election.Persist) {
	if p.HardState != nil {
		d.hard = p.HardState
	}
	if p.Bound != 0 {
		d.bound = p.Bound
	}
	if p.Snapshot != nil {
		d.snap = p.Snapshot
		if p.Reset {
			d.entries = nil
		}
		d.entries = slices.DeleteFunc(d.entries, func(e *raftpb.Entry) bool { return e.GetIndex() <= p.Snapshot.GetMetadata().GetIndex() })
	}
	if len(p.Entries) > 0 {
		first := p.Entries[0].GetIndex()
		d.entries = slices.DeleteFunc(d.entries, func(e *raftpb.Entry) bool { return e.GetIndex() >= first })
		d.entries = append(d.entries, p.Entries...)
	}
}

func (d *disk) copy() disk {
	c := *d
	c.entries = slices.Clone(d.entries)
	return c
}
