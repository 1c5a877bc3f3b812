package election

import (
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// A command that is kept belongs to its entry alone, is handed out once, and
// those that are never applied do not pile up.
func TestCommandsAreDecodedOnce(t *testing.T) {
	entry := func(id uint64) *raftpb.Entry {
		return &raftpb.Entry{Index: new(id), Term: new(uint64(1)), Data: ring.Command{Leave: &ring.Leave{ID: id}}.Encode()}
	}
	var kept commands
	var entries []*raftpb.Entry
	for id := uint64(1); id <= 3*commandsKept; id++ {
		e := entry(id)
		c, err := plausibleEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		kept.note(e, c)
		entries = append(entries, e)
	}
	if len(kept) != commandsKept {
		t.Errorf("%d commands are kept, want %d", len(kept), commandsKept)
	}
	oldest := kept[0].command.Leave
	for i, e := range append(entries, entry(1)) {
		c, err := kept.take(e)
		if want := uint64(i%len(entries) + 1); err != nil || c.Leave.ID != want {
			t.Errorf("entry %d says %+v, %v", want, c, err)
		}
		if again, err := kept.take(e); err != nil || again.Leave == c.Leave {
			t.Errorf("entry %d: the same command came twice, %v", e.GetIndex(), err)
		}
		if e == entries[len(entries)-commandsKept] && c.Leave != oldest {
			t.Error("the oldest command that is kept was decoded again")
		}
	}
	if len(kept) != 0 {
		t.Errorf("%d commands are left", len(kept))
	}
}
