package coordinator

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A file that others can read they can lock as well, and then no coordinator starts.
func TestOthersCannotLockTheRunDirectory(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	for what, left := range map[string]bool{"a new file": false, "one of an older version": true} {
		path := filepath.Join(t.TempDir(), "run")
		pid := filepath.Join(path, coordinatorPidName)
		if left {
			if err := errors.Join(os.Mkdir(path, 0o755), os.WriteFile(pid, []byte("1\n"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		d, err := lockRunDir(path)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(pid); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", what, info.Mode(), err)
		}
		d.unlock()
	}
}

// Who connects while the socket is open to all is let in and stays.
func TestTheSocketIsNeverForEverybody(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077} {
		path := filepath.Join(t.TempDir(), socketName)
		old := unix.Umask(umask)
		lis, err := bindUnix(t.Context(), path)
		unix.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != socketMode&^os.FileMode(umask) {
			t.Errorf("umask %o: %v, %v", umask, info.Mode(), err)
		}
		_ = lis.Close()
		made, err := listenUnix(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if got := made.info.Mode().Perm(); got != socketMode {
			t.Errorf("umask %o: mode %o", umask, got)
		}
		_ = made.Close()
	}
}
