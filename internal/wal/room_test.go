package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk's refusal may pass. A person's decision does not.
func TestWhatMayPass(t *testing.T) {
	for _, errno := range []error{unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EIO, unix.EACCES, unix.EMFILE, unix.ETIMEDOUT} {
		if err := fmt.Errorf("write log: %w", advise("dir", &os.PathError{Op: "write", Path: "f", Err: errno})); !MayPass(err) {
			t.Errorf("%v does not pass", err)
		}
	}
	for _, is := range []error{nil, errors.New("another"), ErrCorrupt, unix.ENOENT, unix.ENOTDIR} {
		if MayPass(is) {
			t.Errorf("%v passes", is)
		}
	}
	for _, is := range ours {
		if err := fmt.Errorf("%w: %w", is, unix.EIO); MayPass(err) {
			t.Errorf("%v passes", err)
		}
	}
}

// There is room when the next segment can be written and synced. Nothing is left of
// the try, and the log is as it was.
func TestRoom(t *testing.T) {
	dir, segment, data, _ := lived(t)
	if err := Room(dir); err != nil {
		t.Fatal(err)
	}
	for name, sys := range map[string]*faulty{
		"sync":   {onSync: func() error { return unix.EIO }},
		"remove": {onRemove: func() error { return unix.EROFS }},
	} {
		if err := room(dir, sys); !MayPass(err) {
			t.Errorf("%s fails: got %v", name, err)
		}
	}
	if err := Room(filepath.Join(dir, "missing")); err == nil || MayPass(err) {
		t.Errorf("no directory: got %v", err)
	}
	if got := readFile(t, segment); string(got) != string(data) {
		t.Error("the log was changed")
	}
	l, r := mustOpen(t, dir) // it removes what a try has left that could not be removed
	if len(r.Entries) != 11 {
		t.Errorf("%d entries, want 11", len(r.Entries))
	}
	must(t, l.Close())
	if _, err := os.Stat(filepath.Join(dir, roomName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the tried file is there: %v", err)
	}
}
