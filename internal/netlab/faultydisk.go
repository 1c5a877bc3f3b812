package netlab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// DiskFault says what a host's disk does. The zero value is a disk without a fault.
type DiskFault struct {
	// Write is the error of each write and each change of a directory, Sync that of
	// each sync; 0 for none.
	Write, Sync syscall.Errno
	// Takes is how long each sync takes at least. Forever holds it until the fault ends.
	Takes time.Duration
	// Full lets so many more bytes be written as Room says, the last write in part.
	Full bool
	Room int64
}

// Forever is longer than any test.
const Forever = time.Duration(1<<63 - 1)

// faultyDisk is a file system in this process that keeps a host's files in a
// directory of this machine.
type faultyDisk struct {
	fuse.RawFileSystem
	server *fuse.Server

	mu    sync.Mutex
	fault DiskFault
	ended chan struct{} // closed when the fault ends
}

// mountFaultyDisk mounts one at dir, where the calling thread is. Its files are in
// kept.
func mountFaultyDisk(dir, kept string) (*faultyDisk, error) {
	root, err := fs.NewLoopbackRoot(kept)
	if err != nil {
		return nil, err
	}
	d := &faultyDisk{RawFileSystem: fs.NewNodeFS(root, &fs.Options{}), ended: make(chan struct{})}
	d.server, err = fuse.NewServer(d, dir, &fuse.MountOptions{FsName: "faulty", Name: "netlab", DirectMountStrict: true,
		DisabledCapabilities: fuse.CAP_PASSTHROUGH}) // or the kernel would write past this process
	if err != nil {
		return nil, fmt.Errorf("mount a file system of the lab's own at %s: %w", dir, err)
	}
	go d.server.Serve() // until the host's mounts are gone
	// It also has the kernel learn that nothing polls these files. Else this process
	// could wait for itself, inside the runtime's poller, should it open one of them.
	return d, d.server.WaitMount()
}

// set begins a fault, and ends the one before.
func (d *faultyDisk) set(f DiskFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.ended)
	d.fault, d.ended = f, make(chan struct{})
}

// changes is the outcome of a change of a directory, or of a file's attributes.
func (d *faultyDisk) changes() fuse.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fuse.Status(d.fault.Write)
}

// takes returns how many of n bytes may be written.
func (d *faultyDisk) takes(n int) (int, fuse.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch f := &d.fault; {
	case f.Write != 0:
		return 0, fuse.Status(f.Write)
	case !f.Full:
		return n, fuse.OK
	case f.Room == 0:
		return 0, fuse.Status(syscall.ENOSPC)
	default:
		n = int(min(int64(n), f.Room))
		f.Room -= int64(n)
		return n, fuse.OK
	}
}

// syncs waits for as long as a sync takes, and returns its outcome.
func (d *faultyDisk) syncs() fuse.Status {
	d.mu.Lock()
	f, ended := d.fault, d.ended
	d.mu.Unlock()
	if f.Takes > 0 {
		late := time.NewTimer(f.Takes)
		defer late.Stop()
		select {
		case <-late.C:
		case <-ended:
		}
	}
	return fuse.Status(f.Sync)
}

func (d *faultyDisk) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n, status := d.takes(len(data))
	if !status.Ok() {
		return 0, status
	}
	in.Size = uint32(n) // #nosec G115 -- of a write
	return d.RawFileSystem.Write(cancel, in, data[:n])
}

// Writev is how go-fuse writes what came in parts.
func (d *faultyDisk) Writev(cancel <-chan struct{}, in *fuse.WriteIn, parts [][]byte) (uint32, fuse.Status) {
	return d.Write(cancel, in, slices.Concat(parts...))
}

func (d *faultyDisk) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if status := d.syncs(); !status.Ok() {
		return status
	}
	return d.RawFileSystem.Fsync(cancel, in)
}

func (d *faultyDisk) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if status := d.syncs(); !status.Ok() {
		return status
	}
	return d.RawFileSystem.FsyncDir(cancel, in)
}

// Fallocate is refused: what is written last then meets the end of the space.
func (d *faultyDisk) Fallocate(<-chan struct{}, *fuse.FallocateIn) fuse.Status {
	return fuse.Status(syscall.EOPNOTSUPP)
}

func (d *faultyDisk) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	if status := d.changes(); !status.Ok() {
		return status
	}
	return d.RawFileSystem.Create(cancel, in, name, out)
}

func (d *faultyDisk) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if status := d.changes(); !status.Ok() && in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return status
	}
	return d.RawFileSystem.Open(cancel, in, out)
}

func (d *faultyDisk) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if status := d.changes(); !status.Ok() {
		return status
	}
	return d.RawFileSystem.SetAttr(cancel, in, out)
}

func (d *faultyDisk) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	if status := d.changes(); !status.Ok() {
		return status
	}
	return d.RawFileSystem.Mkdir(cancel, in, name, out)
}

func (d *faultyDisk) Unlink(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if status := d.changes(); !status.Ok() {
		return status
	}
	return d.RawFileSystem.Unlink(cancel, in, name)
}

func (d *faultyDisk) Rename(cancel <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	if status := d.changes(); !status.Ok() {
		return status
	}
	return d.RawFileSystem.Rename(cancel, in, from, to)
}

// BreakDisk gives the host's disk a fault, in place of the one that it has. The zero
// value mends it, and lets go what was held. It needs Options.FaultyDisks.
func (h *Host) BreakDisk(f DiskFault) {
	h.lab.t.Helper()
	h.mustBeOn()
	if h.disk == nil {
		h.lab.t.Fatalf("netlab: break the disk of %s: set Options.FaultyDisks", h)
	}
	h.disk.set(f)
}

// mountDisk gives the host the disk whose faults the test decides.
func (h *Host) mountDisk() error {
	kept := filepath.Join(h.lab.dir, "disks", h.name)
	if err := os.MkdirAll(kept, 0o755); err != nil {
		return err
	}
	return h.thread.do(func() (err error) {
		h.disk, err = mountFaultyDisk(h.dir, kept)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			err = fmt.Errorf("%w; is there /dev/fuse?", err)
		}
		return err
	})
}
