package wal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/plainfile"
)

// system is everything that changes the disk, so that tests can fail it and
// can work out what a power cut would leave.
type system interface {
	// open opens a file to read and write; flag is 0, or how it is created.
	open(path string, flag int) (*os.File, error)
	write(f *os.File, p []byte, off int64) error
	// reserve makes room on the disk, and the file as long as off+n.
	reserve(f *os.File, off, n int64) error
	// datasync makes content and length durable.
	datasync(f *os.File) error
	rename(from, to string) error
	remove(path string) error
	syncDir(d *os.File) error
}

type linux struct{}

func (linux) open(path string, flag int) (*os.File, error) {
	return plainfile.Open(path, os.O_RDWR|flag, 0o600)
}

func (linux) write(f *os.File, p []byte, off int64) error {
	_, err := f.WriteAt(p, off)
	return err
}

func (linux) reserve(f *os.File, off, n int64) error {
	return noInterrupt("fallocate", f.Name(), func() error { return unix.Fallocate(int(f.Fd()), 0, off, n) })
}

func (linux) datasync(f *os.File) error {
	// An interrupted sync reports no lost page, so asking again is no lie.
	return noInterrupt("fdatasync", f.Name(), func() error { return unix.Fdatasync(int(f.Fd())) })
}

func (linux) rename(from, to string) error { return os.Rename(from, to) }
func (linux) remove(path string) error     { return os.Remove(path) }
func (linux) syncDir(d *os.File) error     { return d.Sync() }

// inOrder takes one step after the other, up to the first that fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func noInterrupt(op, path string, call func() error) error {
	for {
		err := call()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EINTR):
			return &os.PathError{Op: op, Path: path, Err: err}
		}
	}
}
