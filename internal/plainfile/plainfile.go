package plainfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrOther: something else than a regular file, or a directory, has the name.
var ErrOther = errors.New("not what ARC keeps there")

// Open opens a regular file as os.OpenFile does. It never waits for the other
// end of a pipe, and never follows a symbolic link at the path's end.
func Open(path string, flag int, perm os.FileMode) (*os.File, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, other(path, info.Mode(), "a regular file") // opening a device may have effects
	}
	f, err := os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, perm)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = other(path, info.Mode(), "a regular file")
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// OpenDir opens a directory. Its path may lead through symbolic links.
func OpenDir(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%w: %w", unix.ENOTDIR, other(path, info.Mode(), "a directory"))
	}
	return os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
}

// ReadFile is os.ReadFile for a regular file of at most so many bytes: ARC did not
// write a longer one, and memory is not there for what is no file of ARC's.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := Open(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	n := info.Size()
	if n > most {
		return nil, fmt.Errorf("%w: %s has %d bytes, ARC writes at most %d; move it away", ErrOther, path, n, most)
	}
	data := make([]byte, n)
	read, err := io.ReadFull(f, data)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil // it became shorter meanwhile
	}
	return data[:read], err
}

// SyncDir makes durable which files a directory has.
func SyncDir(path string) error {
	dir, err := OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Owned reports, by an error, that a directory may be another user's doing: it
// belongs to somebody else than this user and root, or everybody may write
// there. A link to it has to belong to one of the two as well.
func Owned(path string) error {
	link, err := os.Lstat(path)
	if err != nil {
		return err
	}
	dir, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !dir.IsDir() {
		return other(path, dir.Mode(), "a directory")
	}
	for _, info := range []os.FileInfo{link, dir} {
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 && owner != uint32(os.Geteuid()) {
			return fmt.Errorf("%w: %s belongs to user %d, this process runs as user %d; somebody else may have made it", ErrOther, path, owner, os.Geteuid())
		}
	}
	if dir.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("%w: everybody may write to %s (mode %04o)", ErrOther, path, dir.Mode().Perm())
	}
	return nil
}

// kinds are the types of files in words.
var kinds = map[os.FileMode]string{
	0:                                 "a regular file",
	os.ModeDir:                        "a directory",
	os.ModeNamedPipe:                  "a named pipe",
	os.ModeSymlink:                    "a symbolic link",
	os.ModeSocket:                     "a socket",
	os.ModeDevice:                     "a device",
	os.ModeDevice | os.ModeCharDevice: "a device",
}

func other(path string, mode os.FileMode, want string) error {
	kind := cmp.Or(kinds[mode.Type()], "something else")
	return fmt.Errorf("%w: %s is %s, want %s; move it away", ErrOther, path, kind, want)
}
