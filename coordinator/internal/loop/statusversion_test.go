package loop

import (
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

func (c *fakeCore) StatusVersion(election.Instant) election.StatusVersion {
	c.versions++ // each call returns another version, by its term
	n, err := election.New(election.Config{ID: 1, Incarnation: 1, Rand: func() uint64 { return 1 }, Wall: func() int64 { return 1 }},
		election.Recovered{HardState: &raftpb.HardState{Term: new(uint64(c.versions)), Vote: new(uint64(0)), Commit: new(uint64(0))}}, 0)
	if err != nil {
		panic(err)
	}
	return n.StatusVersion(0)
}
