package realtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// job tells the test binary to be a program that enters realtime.
const job = "ARC_TEST_REALTIME"

// found is what that program tells.
type found struct {
	Error, Skip   string
	Denied        bool
	Pid, Executed int
	Marked        bool
	Unlike        int // threads under another policy or priority
	Threads       int
	Locked        string
	Procs         int
	Args          []string
}

func TestMain(m *testing.M) {
	if what := os.Getenv(job); what != "" {
		if err := program(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is what the child processes of the tests run.
func program(what string) error {
	f := found{Pid: os.Getpid()}
	if os.Getenv("ARC_TEST_FIRST_PID") == "" {
		// Before the new execution alone.
		if err := os.Setenv("ARC_TEST_FIRST_PID", fmt.Sprint(os.Getpid())); err != nil {
			return err
		}
		if what == "limits" {
			if err := becomeNobody(); err != nil {
				return json.NewEncoder(os.Stdout).Encode(found{Skip: err.Error(), Pid: f.Pid, Executed: f.Pid})
			}
		}
	}
	_, _ = fmt.Sscan(os.Getenv("ARC_TEST_FIRST_PID"), &f.Executed)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := Enter(self); err != nil {
		f.Error, f.Denied = err.Error(), errors.Is(err, ErrDenied)
	}
	_, f.Marked = os.LookupEnv(Mark)
	f.Procs, f.Args = runtime.GOMAXPROCS(0), os.Args[1:]
	// More threads than the runtime had at its start.
	stop := make(chan struct{})
	for range 5 {
		started := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(started)
			<-stop
		}()
		<-started
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	f.Threads = len(tasks)
	for _, t := range tasks {
		var tid int
		_, _ = fmt.Sscan(t.Name(), &tid)
		if a, err := unix.SchedGetAttr(tid, 0); err != nil || a.Policy != unix.SCHED_RR || a.Priority != Priority {
			f.Unlike++
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmLck:"); ok {
			f.Locked = strings.TrimSpace(v)
		}
	}
	close(stop)
	return json.NewEncoder(os.Stdout).Encode(f)
}

// becomeNobody gives root away and takes limits in exchange. It needs
// CAP_SYS_RESOURCE.
func becomeNobody() error {
	for r, n := range map[int]uint64{unix.RLIMIT_RTPRIO: Priority, unix.RLIMIT_MEMLOCK: unix.RLIM_INFINITY} {
		if err := unix.Setrlimit(r, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return err
		}
	}
	return syscall.Setresuid(65534, 65534, 65534)
}

// attributes of a process with the rights alone that what says.
func attributes(what string) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{}
	if what != "root" && what != "limits" {
		a.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	if what == "schedules" || what == "capabilities" {
		a.AmbientCaps = append(a.AmbientCaps, unix.CAP_SYS_NICE)
	}
	if what == "locks" || what == "capabilities" {
		a.AmbientCaps = append(a.AmbientCaps, unix.CAP_IPC_LOCK)
	}
	return a
}

func run(t *testing.T, what string) found {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: gives capabilities to a process")
	}
	dir, err := os.MkdirTemp("", "arc-realtime-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Where another user may execute it.
	path := filepath.Join(dir, "program")
	if err := errors.Join(os.Chmod(dir, 0o755), copyFile(self, path)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "one", "", "two words")
	// A mark of another process must not count.
	cmd.Env = append(os.Environ(), job+"="+what, Mark+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attributes(what)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var f found
	if err := json.Unmarshal(out, &f); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	if f.Pid != cmd.Process.Pid || f.Executed != f.Pid {
		t.Errorf("pid %d after %d, want %d: it is the same process", f.Pid, f.Executed, cmd.Process.Pid)
	}
	if f.Skip != "" || what != "nothing" && strings.Contains(f.Error, "the process has CAP_SYS_NICE") {
		t.Skipf("realtime is not possible here: %s%s", f.Skip, f.Error)
	}
	return f
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func TestEveryThreadIsRealtime(t *testing.T) {
	for _, what := range []string{"root", "capabilities", "limits"} {
		t.Run(what, func(t *testing.T) {
			f := run(t, what)
			if f.Error != "" {
				t.Fatal(f.Error)
			}
			if f.Unlike != 0 || f.Threads < 6 {
				t.Errorf("%d of %d threads are not under SCHED_RR %d", f.Unlike, f.Threads, Priority)
			}
			if f.Locked == "0 kB" || f.Locked == "" {
				t.Errorf("locked memory: %q", f.Locked)
			}
			if f.Procs != 1 {
				t.Errorf("GOMAXPROCS is %d, want 1", f.Procs)
			}
			if f.Marked {
				t.Error("children would see the mark")
			}
			if got := strings.Join(f.Args, "|"); got != "one||two words" {
				t.Errorf("arguments %q", got)
			}
		})
	}
}

func TestMissingRightsAreNamed(t *testing.T) {
	const rtprio, memlock = "RLIMIT_RTPRIO of at least 10 (", "CAP_IPC_LOCK, or an unlimited RLIMIT_MEMLOCK ("
	for _, c := range []struct {
		what         string
		says, unsaid []string
	}{
		{"nothing", []string{"CAP_SYS_NICE", rtprio, memlock}, nil},
		{"schedules", []string{memlock}, []string{"SCHED_RR"}},
		{"locks", []string{"CAP_SYS_NICE", rtprio}, []string{"mlockall"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := run(t, c.what)
			if !f.Denied {
				t.Fatalf("got %q, want an error that wraps ErrDenied", f.Error)
			}
			for _, s := range c.says {
				if !strings.Contains(f.Error, s) {
					t.Errorf("%q does not say %q", f.Error, s)
				}
			}
			for _, s := range c.unsaid {
				if strings.Contains(f.Error, s) {
					t.Errorf("%q says %q, which is not missing", f.Error, s)
				}
			}
		})
	}
}
