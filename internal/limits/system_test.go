package limits

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestALimitIsNamedWithItsValue(t *testing.T) {
	number := func(resource int) string {
		var l unix.Rlimit
		if err := unix.Getrlimit(resource, &l); err != nil {
			t.Fatal(err)
		}
		if l.Cur == unix.RLIM_INFINITY {
			return "any number of"
		}
		return strconv.FormatUint(l.Cur, 10)
	}
	for _, c := range []struct {
		errno   unix.Errno
		explain func(error) error
		want    []string
	}{
		{unix.EMFILE, Explain, []string{"RLIMIT_NOFILE", "have " + number(unix.RLIMIT_NOFILE) + " open files", "LimitNOFILE=", "ulimit -n"}},
		{unix.ENFILE, Explain, []string{"fs.file-max", "sysctl"}},
		{unix.EFBIG, Explain, []string{"RLIMIT_FSIZE", number(unix.RLIMIT_FSIZE), "ulimit -f"}},
		{unix.EMFILE, ExplainStart, []string{"RLIMIT_NOFILE"}},
		{unix.EAGAIN, ExplainStart, []string{"RLIMIT_NPROC", number(unix.RLIMIT_NPROC), "TasksMax=", "ulimit -u"}},
		{unix.ENOMEM, ExplainStart, []string{"memory.max", "MemoryMax="}},
	} {
		err := c.explain(fmt.Errorf("make a timer: %w", &os.SyscallError{Syscall: "timerfd_create", Err: c.errno}))
		for _, want := range append(c.want, "make a timer: timerfd_create: "+c.errno.Error()+"; ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %q lacks %q", c.errno, err, want)
			}
		}
		if !errors.Is(err, c.errno) {
			t.Errorf("%v is lost in %v", c.errno, err)
		}
		if again := Explain(fmt.Errorf("start: %w", err)); strings.Count(again.Error(), "raise that") != 1 {
			t.Errorf("%q has the hint more than once", again)
		}
	}
}

func TestOtherErrorsStayAsTheyAre(t *testing.T) {
	for _, err := range []error{nil, errors.New("x"), unix.EAGAIN, unix.EACCES} {
		if got := Explain(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
