package wal

import (
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

func retireOnce(t *testing.T, l *Log, id uint64, aside string, keep int) {
	t.Helper()
	b := Batch{HardState: &raftpb.HardState{Term: new(uint64(1)), Vote: new(uint64(0)), Commit: new(uint64(0))},
		Entries: []*raftpb.Entry{{Index: new(uint64(1)), Term: new(uint64(1))}}, Sync: true}
	if err := l.Init(Identity{Cluster: "c", RingID: "r", Name: "n", ID: id}, b); err != nil {
		t.Fatal(err)
	}
	if err := l.Retire(aside, keep); err != nil {
		t.Fatal(err)
	}
}

func TestARetiredLogIsKeptAndCanBeHadBack(t *testing.T) {
	dir := t.TempDir()
	aside := filepath.Join(dir, "aside")
	l, _, err := Open(dir, Options{Cluster: "c", Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	for id := uint64(1); id <= 5; id++ {
		retireOnce(t, l, id, aside, 2)
	}
	// A log without content is not worth keeping.
	if err := l.Init(Identity{Cluster: "c", RingID: "r", Name: "n", ID: 6}, Batch{Sync: true}); err != nil {
		t.Fatal(err)
	}
	if err := l.Retire(aside, 2); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(aside, "*.log"))
	if err != nil || len(kept) != 2 {
		t.Fatalf("kept %v, %v; want two", kept, err)
	}
	l, r, err := Open(dir, Options{Cluster: "c", Name: "n"})
	if err != nil || !r.Fresh {
		t.Fatalf("after the log was moved aside: fresh %v, %v", r.Fresh, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	newest := filepath.Base(kept[1])
	if err := os.Rename(kept[1], filepath.Join(dir, newest[len(newest)-len(segmentName(1)):])); err != nil {
		t.Fatal(err)
	}
	l, r, err = Open(dir, Options{Cluster: "c", Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if r.Fresh || r.Identity.ID != 5 || len(r.Entries) != 1 {
		t.Errorf("moved back: fresh %v, id %d, %d entries; want member 5 with one entry", r.Fresh, r.Identity.ID, len(r.Entries))
	}
}
