package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/plainfile"
)

var (
	// ErrLocked: another process uses the directory.
	ErrLocked = errors.New("data directory is in use")
	// ErrForeign: the directory belongs to another cluster or node.
	ErrForeign = errors.New("data directory belongs to another node or cluster")
	// ErrCorrupt: what was once safely written is damaged.
	ErrCorrupt = errors.New("log is corrupt")
	// ErrVersion: the file was written in a format that is not known here.
	ErrVersion = errors.New("log has an unknown format version")
	// ErrInvalid: the caller's batch does not fit the log; nothing was written.
	ErrInvalid = errors.New("invalid batch")
	// ErrNotFresh: Init on a directory that holds a ring.
	ErrNotFresh = errors.New("data directory already holds a ring")
	// ErrFresh: Save on a directory that holds no ring.
	ErrFresh = errors.New("data directory holds no ring yet")
	// ErrRemoved: the files were removed, replaced or shortened while they were in use.
	ErrRemoved = errors.New("the log was taken away while it was in use")
	// ErrClosed: the Log was closed.
	ErrClosed = errors.New("log is closed")
)

// ours are the errors that are not the system's refusal alone.
var ours = []error{ErrLocked, ErrForeign, ErrCorrupt, ErrVersion, ErrInvalid, ErrNotFresh, ErrFresh, ErrRemoved, ErrClosed, plainfile.ErrOther, fs.ErrNotExist, unix.ENOTDIR}

// MayPass reports whether an error is the system's refusal to write, sync or read, as
// by a full or broken disk: another time it may do it. A fault
// that a person has to decide on does not pass.
func MayPass(err error) bool {
	var refused unix.Errno
	return errors.As(err, &refused) && !slices.ContainsFunc(ours, func(e error) bool { return errors.Is(err, e) })
}

// damage is what is wrong with a file's content.
type damage struct {
	offset int64
	why    string
}

func (d *damage) Error() string { return fmt.Sprintf("damaged at offset %d: %s", d.offset, d.why) }
func (d *damage) Unwrap() error { return ErrCorrupt }

// corruptError says what the operator can do; nothing in the directory has
// been changed when it is returned.
func corruptError(dir, path string, err error) error {
	return fmt.Errorf("read log %s: %w; nothing was changed: if the ring has a leader (ask another member: arc leader), "+
		"move the directory %s away and start again, the node then rejoins under a new id; "+
		"if it has none, keep the directory and see arc recover --help", path, err, dir)
}

// advise adds what the operator can do about an error of the system.
func advise(dir string, err error) error {
	switch {
	case errors.Is(err, ErrRemoved):
		return fmt.Errorf("%w; nothing was acknowledged since: put the directory %s back as it was and start again; if it is lost and the ring has "+
			"a leader (ask another member: arc leader), make an empty one and start again, the node then joins the others under a new id; "+
			"if the ring has none, see arc recover --help", err, dir)
	case errors.Is(err, plainfile.ErrOther):
		return fmt.Errorf("%w, or choose another --data-dir", err)
	}
	explained, ok := explain(err)
	if !ok {
		return err
	}
	return fmt.Errorf("%w; what was saved before is intact in %s", explained, dir)
}

// adviseMaking is advise for a directory that cannot be made.
func adviseMaking(dir string, err error) error {
	if _, seen := os.Stat(dir); seen == nil || errors.Is(seen, fs.ErrPermission) {
		return advise(dir, err) // it may be there
	}
	err, _ = explain(err)
	return fmt.Errorf("%w; make %s, or choose another --data-dir", err, dir)
}

// explain adds what an error of the system means to the operator, if that is
// known.
func explain(err error) (error, bool) {
	var hint string
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		hint = "free space there"
	case errors.Is(err, unix.EROFS):
		hint = "is the file system mounted read-only, perhaps after a disk error?"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		hint = "the directory must belong to the user that runs the coordinator"
	case errors.Is(err, unix.EIO):
		hint = "check the disk (dmesg)"
	case limits.Hint(err) != "":
		return limits.Explain(err), true
	default:
		return err, false
	}
	return fmt.Errorf("%w; %s", err, hint), true
}
