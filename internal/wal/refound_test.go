package wal

import (
	"errors"
	"os"
	"testing"
)

func TestRefoundReplacesAllUnderAnotherIdentity(t *testing.T) {
	dir := t.TempDir()
	l := mustInit(t, dir, Batch{HardState: hard(7, 1, 12), Snapshot: snapshot(10, 7, "old"), Entries: entries(11, 7, 3), Sync: true})
	id := testIdentity
	id.ID = 2001
	if err := l.Refound(id, Batch{HardState: hard(9, 0, 14), Snapshot: snapshot(14, 9, "new"), Sync: true}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, r := mustOpen(t, dir)
	if got, want := describe(r), `hard 9/0/14 snapshot 14/9 [1 2 3] "new" bound 0s entries`; got != want || r.Identity != id {
		t.Errorf("holds %s of %+v, want %s", got, r.Identity, want)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 3 { // the lock, one segment, and what remembers its end
		t.Errorf("%v in the directory (%v)", names, err)
	}

	empty, _ := mustOpen(t, t.TempDir())
	if err := empty.Refound(id, Batch{Sync: true}); !errors.Is(err, ErrFresh) {
		t.Errorf("without a ring: %v", err)
	}
}
