package election

import (
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// FuzzSnapshot: whatever a snapshot holds, a Node starts from it or says which
// snapshot it cannot read; what it starts from it also hands on, with the same
// ring and the same former members.
func FuzzSnapshot(f *testing.F) {
	st, err := ring.ProfileSettings("lan")
	if err != nil {
		f.Fatal(err)
	}
	rec, err := Found(ring.Found{Cluster: "c", RingID: "r", Founder: ring.Member{Name: "a", Incarnation: 5, Addresses: []string{"a:1"}}, Settings: st}, 7)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rec.Snapshot.GetData())
	start := func(data []byte) (*Node, error) {
		conf := &raftpb.ConfState{Voters: []uint64{1, 2}, VotersOutgoing: []uint64{1, 2, 3}, Learners: []uint64{4}}
		return New(Config{ID: 1, Incarnation: 6, Addresses: []string{"a:2"}, Rand: func() uint64 { return 1 }, Wall: func() int64 { return 1 }},
			Recovered{
				HardState: &raftpb.HardState{Term: new(uint64(6)), Vote: new(uint64(0)), Commit: new(uint64(1))},
				Snapshot:  &raftpb.Snapshot{Data: data, Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(1)), Term: new(uint64(6)), ConfState: conf}},
			}, 0)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := start(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "restore snapshot at index 1: ") {
				t.Fatalf("the error does not say what could not be read: %v", err)
			}
			return
		}
		again, err := start(n.snapshot())
		if err != nil {
			t.Fatalf("its own snapshot is refused: %v", err)
		}
		if string(again.snapshot()) != string(n.snapshot()) {
			t.Fatalf("%s became %s", n.snapshot(), again.snapshot())
		}
		for now := range Instant(5) { // must not panic
			n.Tick(now * time.Second)
			n.Effects()
		}
	})
}
