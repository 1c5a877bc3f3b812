package netlab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const ballast = "netlab-ballast"

// FillDisk fills the host's own file system to the last byte. It needs
// Options.DiskBytes, so that nobody else's disk is filled.
func (h *Host) FillDisk() {
	h.lab.t.Helper()
	h.mustBeOn()
	if h.lab.options.DiskBytes == 0 {
		h.lab.t.Fatalf("netlab: fill the disk of %s: the lab has no disks of its own, set Options.DiskBytes", h)
	}
	if err := fill(filepath.Join(h.Outside(h.dir), ballast), h.lab.options.DiskBytes); err != nil {
		h.lab.t.Fatalf("netlab: fill the disk of %s: %v", h, err)
	}
}

// FreeDisk undoes FillDisk.
func (h *Host) FreeDisk() {
	h.lab.t.Helper()
	if err := os.Remove(filepath.Join(h.Outside(h.dir), ballast)); err != nil && !errors.Is(err, os.ErrNotExist) {
		h.lab.t.Fatalf("netlab: free the disk of %s: %v", h, err)
	}
}

// fill writes until there is no space left; a disk that takes more than twice
// what it holds is not the right one.
func fill(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	// Large blocks first, then what is left byte by byte.
	for _, block := range []int{64 << 10, 4 << 10, 1} {
		buffer := make([]byte, block)
		for written := int64(0); ; {
			n, err := f.Write(buffer)
			written += int64(n)
			if errors.Is(err, syscall.ENOSPC) {
				break
			}
			if err != nil {
				return err
			}
			if written > 2*size {
				return fmt.Errorf("%d bytes fit on a disk of %d", written, size)
			}
		}
	}
	return nil
}
