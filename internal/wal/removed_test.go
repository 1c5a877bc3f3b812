package wal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/plainfile"
)

// Files that are taken away under a running log: nothing is called durable from
// then on, and the error says what to do.
func TestLogThatIsTakenAway(t *testing.T) {
	aside := func(dir string) error { return os.Rename(dir, dir+".old") }
	for name, c := range map[string]struct {
		take func(dir string) error
		// save: even the next Save fails, not only Check.
		save bool
	}{
		"directory removed":           {os.RemoveAll, true},
		"log removed":                 {func(dir string) error { return os.Remove(filepath.Join(dir, segmentName(1))) }, true},
		"log emptied":                 {func(dir string) error { return os.Truncate(filepath.Join(dir, segmentName(1)), 0) }, true},
		"log shortened by its room":   {func(dir string) error { return os.Truncate(filepath.Join(dir, segmentName(1)), 4<<10) }, true},
		"directory moved away":        {aside, false},
		"directory replaced":          {func(dir string) error { return errors.Join(aside(dir), os.Mkdir(dir, 0o700)) }, false},
		"a file in place of the path": {func(dir string) error { return errors.Join(aside(dir), os.WriteFile(dir, nil, 0o600)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			l := mustInit(t, dir, Batch{HardState: hard(1, 1, 0), Entries: entries(1, 1, 2), Sync: true})
			if err := l.Check(); err != nil {
				t.Fatalf("nothing was taken away: %v", err)
			}
			if err := c.take(dir); err != nil {
				t.Fatal(err)
			}
			if c.save {
				if err := l.Save(Batch{Entries: entries(3, 1, 1), Sync: true}); !errors.Is(err, ErrRemoved) {
					t.Errorf("a Save after that: %v", err)
				}
			}
			err := l.Check()
			if !errors.Is(err, ErrRemoved) || !strings.Contains(err.Error(), "put the directory "+dir+" back") {
				t.Errorf("Check: %v", err)
			}
			if again := l.Save(Batch{Entries: entries(3, 1, 1), Sync: true}); again == nil {
				t.Error("a Save after the final error succeeds")
			}
		})
	}
}

// The next segment is not started in a directory that is gone, either.
func TestNextSegmentOfALogThatIsTakenAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	l := mustInit(t, dir, Batch{HardState: hard(1, 1, 0), Entries: entries(1, 1, 2), Sync: true})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := l.Save(Batch{Snapshot: snapshot(2, 1, "s")}); !errors.Is(err, ErrRemoved) {
		t.Errorf("Save: %v", err)
	}
}

// What is no regular file is refused at once; a pipe would hold up the start.
func TestOpenRefusesPipesDevicesAndLinks(t *testing.T) {
	lie := map[string]func(path string) error{
		"a named pipe":    func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"a symbolic link": func(path string) error { return os.Symlink("/dev/zero", path) },
	}
	for kind, make := range lie {
		for _, name := range []string{lockName, segmentName(7), "."} {
			dir := filepath.Join(t.TempDir(), "data")
			if name == "." && kind != "a named pipe" {
				continue
			}
			if name != "." {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, name)
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			l, _, err := Open(dir, Options{})
			if !errors.Is(err, plainfile.ErrOther) || !strings.Contains(err.Error(), kind) {
				t.Errorf("%s as %s: %v", kind, name, err)
			}
			if err == nil {
				_ = l.Close()
			}
		}
	}
}

// A lock file that somebody removed as stale lets no second process in: it would
// write what it read over what came since.
func TestARemovedLockFileLetsNobodyIn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	l := mustInit(t, dir, Batch{HardState: hard(1, 1, 0), Entries: entries(1, 1, 2), Sync: true})
	if err := os.Remove(filepath.Join(dir, lockName)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "lock file was removed") {
		t.Errorf("got %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := mustOpen(t, dir)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
