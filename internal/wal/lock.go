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

// lockDir takes the directory for this process until the file is closed or
// the process ends. The lock is the kernel's; the pid in the file is only for
// the message of the next one who tries.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := plainfile.Open(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	err = noInterrupt("flock", path, func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err == nil {
		// As wide as any pid, so that it is overwritten whole. A full disk
		// may refuse it; the lock holds without it.
		_, _ = f.WriteAt(fmt.Appendf(nil, "%-20d\n", os.Getpid()), 0)
		return f, nil
	}
	defer func() { _ = f.Close() }()
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return nil, fmt.Errorf("%w: %s is locked by %s; stop that one first, or choose another --data-dir",
		ErrLocked, dir, holder(f))
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
