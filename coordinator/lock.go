package coordinator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	socketName         = "arc.sock"
	coordinatorPidName = "coordinator.pid"
	monitorPidName     = "monitor.pid"
	// socketPathMax is what the kernel takes as the path of a unix socket.
	socketPathMax = 107
)

// runDir is the locked run directory. The lock is on coordinator.pid and
// belongs to the kernel: it is gone when the process is.
type runDir struct {
	path string
	pid  *os.File
}

// lockRunDir makes the directory if it is missing and takes it for this
// process. The error wraps ErrRunning if somebody else has it.
func lockRunDir(path string) (*runDir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make run directory: %w; choose another --run-dir or run as a user that may write there", err)
	}
	if sock := filepath.Join(path, socketName); len(sock) > socketPathMax {
		return nil, usagef("the socket path %s has %d bytes, the kernel takes %d; choose a shorter --run-dir", sock, len(sock), socketPathMax)
	}
	name := filepath.Join(path, coordinatorPidName)
	for range 10 {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("lock run directory: %w; choose another --run-dir or run as a user that may write there", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			holder, _ := os.ReadFile(name)
			_ = f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("lock run directory %s: %w there, pid %s; stop it, or give this one another --run-dir and --data-dir",
					path, ErrRunning, strings.TrimSpace(string(holder)))
			}
			return nil, fmt.Errorf("lock run directory %s: %w", path, err)
		}
		// One that ended meanwhile may have removed the file that we locked.
		mine, err1 := f.Stat()
		there, err2 := os.Stat(name)
		if err1 != nil || err2 != nil || !os.SameFile(mine, there) {
			_ = f.Close()
			continue
		}
		d := &runDir{path: path, pid: f}
		if err := errors.Join(f.Truncate(0), d.writePid()); err != nil {
			d.unlock()
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		return d, nil
	}
	return nil, fmt.Errorf("lock run directory %s: coordinators start and end there all the time", path)
}

func (d *runDir) writePid() error {
	_, err := d.pid.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func (d *runDir) file(name string) string { return filepath.Join(d.path, name) }

// unlock removes the pid file and gives the directory back.
func (d *runDir) unlock() {
	_ = os.Remove(d.file(coordinatorPidName))
	_ = d.pid.Close()
}
