package election

import (
	"math/rand/v2"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

// TestKeptTrialAgrees: a configuration that was changed step by step takes and
// refuses the same changes as one that raft makes from the whole configuration.
func TestKeptTrialAgrees(t *testing.T) {
	types := []raftpb.ConfChangeType{raftpb.ConfChangeAddNode, raftpb.ConfChangeRemoveNode, raftpb.ConfChangeAddLearnerNode, raftpb.ConfChangeUpdateNode}
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var kept trial
		conf := &raftpb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}
		for range 20 {
			cc := &raftpb.ConfChangeV2{}
			for range rnd.IntN(4) {
				cc.Changes = append(cc.Changes, &raftpb.ConfChangeSingle{Type: types[rnd.IntN(len(types))].Enum(), NodeId: new(1 + rnd.Uint64N(8))})
			}
			var fresh trial
			errFresh, errKept := fresh.try(conf, cc, 9), kept.try(conf, cc, 9)
			if (errFresh == nil) != (errKept == nil) {
				t.Fatalf("seed %d: %v on %v: kept %v, fresh %v", seed, cc, conf, errKept, errFresh)
			}
			if errFresh != nil {
				continue
			}
			next := fresh.next.ConfState()
			if err := next.Equivalent(kept.next.ConfState()); err != nil {
				t.Fatalf("seed %d: %v on %v: %v", seed, cc, conf, err)
			}
			conf = next
			kept.changed(conf)
		}
	}
}
