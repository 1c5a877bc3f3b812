package election

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/internal/wal"
	"github.com/arc-ring/arc/ring"
)

// A data directory of log version 1: three members and a witness that left, a
// handover, a crash, an interrupted leadership, and a restart of everything. The
// reserved zeros at the log's end were cut off.
const (
	oldLog     = "testdata/log-v1"
	oldLogSize = 256 << 10
)

func openOldLog(t *testing.T) wal.Recovered {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(oldLog)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "00000000000000000001.log"), oldLogSize); err != nil {
		t.Fatal(err)
	}
	l, rec, err := wal.Open(dir, wal.Options{Cluster: "arc", Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return rec
}

// A member starts from an old log, knows what its former self knew, and writes
// the present version from then on.
func TestOldLogIsRead(t *testing.T) {
	rec := openOldLog(t)
	n, err := New(Config{ID: 1, Incarnation: 1 << 63, LogVersion: ring.LogVersion, Rand: func() uint64 { return 1 }, Wall: func() int64 { return 1 }},
		Recovered{HardState: rec.HardState, Snapshot: rec.Snapshot, Entries: rec.Entries, Bound: rec.Bound, Restarted: true}, 0)
	if err != nil {
		t.Fatal(err)
	}
	n.Tick(0)
	s := n.State()
	if s.Epoch != 17 || s.Term != 1796024905 || s.Settings.LeaseMS != 450 || len(s.History) != 5 || len(s.Departed) != 0 {
		t.Errorf("epoch %d, token %d, lease %d ms, %d leaderships, %d former members", s.Epoch, s.Term, s.Settings.LeaseMS, len(s.History), len(s.Departed))
	}
	for i, want := range []struct {
		name     string
		evidence ring.Evidence
	}{{"n1", ""}, {"n3", ""}, {"n1", ring.Certified}, {"n1", ring.Unanswered}, {"n1", ring.BornAgain}} {
		if l := s.History[i]; l.Name != want.name || l.Evidence != want.evidence || !l.Claimed {
			t.Errorf("leadership %d is %+v, want that of %s after %q", i+1, l, want.name, want.evidence)
		}
	}
	for i, want := range []struct {
		id   uint64
		name string
	}{{1, "n1"}, {5, "n3"}, {6, "n2"}} {
		if m := s.Members[i]; m.ID != want.id || m.Name != want.name || m.OnJoin != ring.Stay || m.LogVersion != 0 {
			t.Errorf("member %d is %+v, want %d %s", i+1, m, want.id, want.name)
		}
	}
	again, _, err := ring.Restore(n.snapshot())
	if err != nil || !bytes.Equal(again.Snapshot(), s.Snapshot()) {
		t.Errorf("its own snapshot gives %+v, %v; want %+v", again, err, s)
	}
	kinds := 0
	for _, e := range rec.Entries {
		if e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0 {
			continue
		}
		kinds++
		c, err := ring.DecodeCommand(e.GetData())
		if err != nil {
			t.Fatalf("entry %d: %v", e.GetIndex(), err)
		}
		if again, err := ring.DecodeCommand(c.Encode()); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("entry %d became %v, %v; want %v", e.GetIndex(), again, err, c)
		}
	}
	if kinds < 20 {
		t.Errorf("%d commands in the old log", kinds)
	}
}
