package limits

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// explained is an error whose text has its hint already.
type explained struct {
	error
	hint string
}

func (e *explained) Error() string { return e.error.Error() + "; " + e.hint }
func (e *explained) Unwrap() error { return e.error }

// Explain adds the Hint to an error that has one, once.
func Explain(err error) error { return explain(err, Hint(err)) }

// ExplainStart is Explain for an error of the start of a process.
func ExplainStart(err error) error {
	switch {
	case errors.Is(err, unix.EAGAIN):
		hint := "this user may have " + current(unix.RLIMIT_NPROC) + " processes (RLIMIT_NPROC)"
		if most := groupMost(); most != "" {
			hint += ", this control group " + most + " (pids.max)"
		}
		return explain(err, hint+": raise that with LimitNPROC= and TasksMax= in a systemd unit or ulimit -u in a shell")
	case errors.Is(err, unix.ENOMEM):
		return explain(err, "memory is short on this machine, or in this control group (memory.max): free some, or raise that with MemoryMax= in a systemd unit")
	}
	return Explain(err)
}

func explain(err error, hint string) error {
	if was := (*explained)(nil); hint == "" || errors.As(err, &was) {
		return err
	}
	return &explained{err, hint}
}

// Hint says which limit an error comes from, its value, and what raises it; ""
// if it comes from none.
func Hint(err error) string {
	switch {
	case errors.Is(err, unix.EMFILE):
		return "this process may have " + current(unix.RLIMIT_NOFILE) + " open files (RLIMIT_NOFILE): raise that with LimitNOFILE= in a systemd unit or ulimit -n in a shell"
	case errors.Is(err, unix.ENFILE):
		return "this machine may have " + read("/proc/sys/fs/file-max") + " open files (fs.file-max): raise that with sysctl, or end what has so many open"
	case errors.Is(err, unix.EFBIG):
		return "a file may have " + current(unix.RLIMIT_FSIZE) + " bytes (RLIMIT_FSIZE): raise that with LimitFSIZE= in a systemd unit or ulimit -f in a shell"
	}
	return ""
}

// groupMost is how many processes the control group may have, "" where that is
// not known.
func groupMost() string {
	own, _ := os.ReadFile("/proc/self/cgroup") // what cannot be read is not known
	_, after, _ := strings.Cut("\n"+string(own), "\n0::")
	path, _, _ := strings.Cut(after, "\n")
	most, _ := os.ReadFile(filepath.Join("/sys/fs/cgroup", path, "pids.max"))
	return strings.TrimSpace(string(most))
}

func current(resource int) string { return Soft(resource, "any number of", "an unknown number of") }

// Soft is the process's soft limit of a resource: its value, or the words for a
// limit that is unlimited or unknown.
func Soft(resource int, unlimited, unknown string) string {
	var l unix.Rlimit
	switch err := unix.Getrlimit(resource, &l); {
	case err != nil:
		return unknown
	case l.Cur == unix.RLIM_INFINITY:
		return unlimited
	}
	return strconv.FormatUint(l.Cur, 10)
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("an unknown number (%v) of", err)
	}
	return strings.TrimSpace(string(text))
}
