package plainfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Replace gives the file at the path a new content, which is never seen half, and is
// durable if sync is set. Nothing that lies at the path, or under the temporary name
// beside it, is written to.
func Replace(path string, data []byte, perm os.FileMode, sync bool) error {
	if err := os.Remove(draftOf(path)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	d, err := newDraft(path, perm)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.place(data, sync, os.Rename)
}

// ErrBusy: a draft of the file is there already.
var ErrBusy = errors.New("somebody else is writing the file")

// A Draft is a new content for a file that people write, too. It lies beside the
// file until it is put in its place. There is one at a time, so its maker has read
// the newest content. Unlike Replace it removes no draft of others: a process that
// is cut off leaves one behind, and a person has to remove that.
type Draft struct {
	file   *os.File
	path   string
	placed bool
}

// NewDraft makes an empty draft of the file at the path, or fails with ErrBusy.
// Close has to be called once.
func NewDraft(path string) (*Draft, error) {
	d, err := newDraft(path, 0o600)
	if !errors.Is(err, os.ErrExist) {
		return d, err
	}
	since := "now"
	if info, err := os.Lstat(draftOf(path)); err == nil {
		since = info.ModTime().UTC().Format(time.RFC3339)
	}
	return nil, fmt.Errorf("%w %s, or was cut off: %s is there since %s; if nobody is at work, move that away", ErrBusy, path, draftOf(path), since)
}

func draftOf(path string) string { return path + ".new" }

func newDraft(path string, perm os.FileMode) (*Draft, error) {
	f, err := os.OpenFile(draftOf(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, perm)
	if err != nil {
		return nil, err
	}
	return &Draft{file: f, path: path}, nil
}

// Create writes the draft and puts it at the path, durably, with the mode whatever
// the umask is. If anything lies there it fails with os.ErrExist.
func (d *Draft) Create(data []byte, perm os.FileMode) error {
	if err := d.file.Chmod(perm); err != nil {
		return err
	}
	return d.place(data, true, func(from, to string) error {
		if err := os.Link(from, to); err != nil { // a rename would replace what is there
			return err
		}
		return os.Remove(from)
	})
}

// Replace writes the draft and puts it in the place of the regular file at the
// path, durably. Mode and owner stay.
func (d *Draft) Replace(data []byte) error {
	info, err := os.Lstat(d.path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return other(d.path, info.Mode(), "a regular file")
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := d.file.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
		return fmt.Errorf("keep owner %d:%d of %s: %w; do it as that user or as root", owner.Uid, owner.Gid, d.path, err)
	}
	if err := d.file.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	return d.place(data, true, os.Rename)
}

func (d *Draft) place(data []byte, sync bool, move func(from, to string) error) error {
	_, err := d.file.Write(data)
	if err == nil && sync {
		err = d.file.Sync()
	}
	if err = errors.Join(err, d.file.Close()); err != nil {
		return err
	}
	if err := move(draftOf(d.path), d.path); err != nil {
		return err
	}
	d.placed = true
	if !sync {
		return nil
	}
	return SyncDir(filepath.Dir(d.path))
}

// Close removes the draft if it was not put in its place.
func (d *Draft) Close() {
	_ = d.file.Close() // what was placed is closed
	if !d.placed {
		_ = os.Remove(draftOf(d.path)) // the next one tells of it
	}
}
