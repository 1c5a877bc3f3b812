package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/plainfile"
)

const lockName = "lock"

// lockDir takes the directory for this process until both files are closed or
// the process ends. The locks are the kernel's; the pid in the file is only for
// the message of the next one who tries. The directory itself is locked too: a
// lock file that somebody removes as stale would let a second process write to
// the same log. Not every file system can do that.
func lockDir(d *os.File) (*os.File, error) {
	dir := d.Name()
	path := filepath.Join(dir, lockName)
	f, err := plainfile.Open(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	by := fmt.Sprintf("a process whose lock file was removed (fuser %s names it)", dir)
	if err = flock(f); err != nil {
		by = holder(f)
	} else if !errors.Is(flock(d), unix.EWOULDBLOCK) {
		// As wide as any pid, so that it is overwritten whole. A full disk
		// may refuse it; the lock holds without it.
		_, _ = f.WriteAt(fmt.Appendf(nil, "%-20d\n", os.Getpid()), 0)
		return f, nil
	}
	_ = f.Close()
	if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return nil, fmt.Errorf("%w: %s is locked by %s; stop that one first, or choose another --data-dir", ErrLocked, dir, by)
}

func flock(f *os.File) error {
	return noInterrupt("flock", f.Name(), func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
}

func holder(f *os.File) string {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return "a process that did not leave its pid"
	}
	if pid == os.Getpid() {
		return fmt.Sprintf("this process (pid %d)", pid)
	}
	return fmt.Sprintf("pid %d", pid)
}
