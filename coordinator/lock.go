package coordinator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/plainfile"
)

const (
	socketName         = "arc.sock"
	coordinatorPidName = "coordinator.pid"
	monitorPidName     = "monitor.pid"
)

// runDir is the locked run directory. The lock is on coordinator.pid and
// belongs to the kernel: it is gone when the process is.
type runDir struct {
	path string
	pid  *os.File
}

// lockRunDir makes the directory if it is missing and takes it for this
// process. The error wraps ErrRunning if somebody else has it, and
// plainfile.ErrOther if it, or what is in it, may be another user's doing.
func lockRunDir(path string) (*runDir, error) {
	if sock := filepath.Join(path, socketName); len(sock) > limits.SocketPath {
		return nil, reason.Usagef("the socket path %s has %d bytes, the kernel takes %d; choose a shorter --run-dir", sock, len(sock), limits.SocketPath)
	}
	d := &runDir{path: path}
	if err := d.take(); err != nil {
		return nil, err
	}
	return d, nil
}

// take makes the directory and locks it. An older lock, whose file was removed,
// is given up when the new one holds.
func (d *runDir) take() error {
	if err := makeRunDir(d.path); err != nil {
		return fmt.Errorf("make run directory: %w; choose another --run-dir, or run as a user that may write there", err)
	}
	name := d.file(coordinatorPidName)
	for range 10 {
		// Who can open the file for reading can lock it, and keep this process from
		// starting. An older version left one that everybody could read.
		f, err := plainfile.Open(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err == nil {
			if err = f.Chmod(0o600); err != nil {
				_ = f.Close()
			}
		}
		if err != nil {
			return fmt.Errorf("lock run directory: %w; choose another --run-dir, or run as a user that may write there", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			holder := make([]byte, 32)
			n, _ := f.ReadAt(holder, 0)
			_ = f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return fmt.Errorf("lock run directory %s: %w there, pid %s; stop it, or give this one another --run-dir and --data-dir",
					d.path, reason.ErrRunning, strings.TrimSpace(string(holder[:n])))
			}
			return fmt.Errorf("lock run directory %s: %w", d.path, err)
		}
		// One that ended meanwhile may have removed the file that we locked.
		if !isAt(f, name) {
			_ = f.Close()
			continue
		}
		old := d.pid
		d.pid = f
		if old != nil {
			_ = old.Close()
		}
		if err := errors.Join(f.Truncate(0), d.writePid()); err != nil {
			d.unlock()
			return fmt.Errorf("write %s: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("lock run directory %s: coordinators start and end there all the time", d.path)
}

// makeRunDir makes the directory if it is missing, for this user alone where
// everybody may make one of that name. One that is there must not be somebody
// else's.
func makeRunDir(path string) error {
	mode := os.FileMode(0o755)
	if parent, err := os.Stat(filepath.Dir(path)); err == nil && parent.Mode().Perm()&0o002 != 0 {
		mode = 0o700
	}
	if err := os.MkdirAll(path, mode); err != nil {
		return err
	}
	return plainfile.Owned(path)
}

// isAt reports whether an open file is what lies at the path.
func isAt(f *os.File, path string) bool {
	ours, err1 := f.Stat()
	there, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(ours, there)
}

// held reports whether the lock file that this process holds is still the one
// that others find.
func (d *runDir) held() bool { return isAt(d.pid, d.file(coordinatorPidName)) }

func (d *runDir) writePid() error {
	_, err := d.pid.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func (d *runDir) file(name string) string { return filepath.Join(d.path, name) }

// unlock removes the pid file, unless it is another process's by now, and gives
// the directory back.
func (d *runDir) unlock() {
	if d.held() {
		_ = os.Remove(d.file(coordinatorPidName))
	}
	_ = d.pid.Close()
}
