package realtime

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/limits"
)

var (
	// ErrDenied: the process lacks a right that realtime needs; the error
	// names it.
	ErrDenied = errors.New("not permitted")
	// ErrLost: the policy did not survive the new execution.
	ErrLost = errors.New("a thread is not under SCHED_RR")
)

// Priority is the SCHED_RR priority, of 1 to 99: above every ordinary process,
// below the kernel's threaded interrupts (50) and below whatever else a machine
// may think more urgent.
const Priority = 10

// Mark is the variable that holds the pid of the process that executed itself
// again. The pid tells it from one that was inherited.
const Mark = "ARC_REALTIME_PID"

// Enter makes this process a realtime one. It executes the program at the path
// again with the same arguments, and then does not return; in the new image it
// returns nil, or an error. Without the rights it fails with ErrDenied and
// nothing has changed that matters: the caller is expected to end.
func Enter(program string) error {
	if os.Getenv(Mark) == strconv.Itoa(os.Getpid()) {
		_ = os.Unsetenv(Mark) // children have another pid; they need not see it at all
		return Keep()
	}
	// Both rights first, so that they are reported together and before anything
	// happens.
	runtime.LockOSThread()
	// Not unlocked: after an error this thread must not run anything else.
	if err := errors.Join(policy(), tryLock()); err != nil {
		return err
	}
	_ = os.Setenv(Mark, strconv.Itoa(os.Getpid())) // fails only for a bad name
	return fmt.Errorf("execute %s again for realtime: %w", program, syscall.Exec(program, os.Args, os.Environ()))
}

// Keep is Enter for a process that was started by a realtime one: it checks the
// policy that it inherited and locks its memory. It fails with ErrLost or
// ErrDenied.
func Keep() error {
	runtime.GOMAXPROCS(1)
	return errors.Join(check(), lock())
}

// policy puts the calling thread under SCHED_RR.
func policy() error {
	err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: Priority}, 0)
	if err == nil {
		return nil
	}
	why := "needs CAP_SYS_NICE, or RLIMIT_RTPRIO of at least " + strconv.Itoa(Priority) + " (" + limit(unix.RLIMIT_RTPRIO) +
		" now; LimitRTPRIO= in a systemd unit, ulimit -r in a shell)"
	if capable(unix.CAP_SYS_NICE) {
		why = "the process has CAP_SYS_NICE, so its control group may have no realtime budget (cpu.rt_runtime_us of cgroup v1) or a sandbox forbids it"
	}
	return fmt.Errorf("set SCHED_RR priority %d: %w: %w; %s", Priority, ErrDenied, err, why)
}

// tryLock reports whether lock will be allowed in the new image.
func tryLock() error {
	if err := lock(); err != nil || capable(unix.CAP_IPC_LOCK) {
		return err
	}
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l); err == nil && l.Cur != unix.RLIM_INFINITY {
		// It would fit now, and the first allocation that does not would end
		// the process.
		return lockDenied(unix.ENOMEM)
	}
	return nil
}

// lock keeps every page in memory from its first use on.
func lock() error {
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return lockDenied(err)
	}
	return nil
}

func lockDenied(err error) error {
	return fmt.Errorf("lock the memory (mlockall): %w: %w; needs CAP_IPC_LOCK, or an unlimited RLIMIT_MEMLOCK (%s now; LimitMEMLOCK=infinity in a systemd unit, ulimit -l in a shell)",
		ErrDenied, err, limit(unix.RLIMIT_MEMLOCK))
}

// check reports whether every thread is under SCHED_RR.
func check() error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list the threads: %w", err)
	}
	for _, t := range tasks {
		tid, _ := strconv.Atoi(t.Name()) // the kernel lists nothing else there
		attr, err := unix.SchedGetAttr(tid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended meanwhile
		}
		if err != nil {
			return fmt.Errorf("look at the policy of thread %d: %w", tid, err)
		}
		if attr.Policy != unix.SCHED_RR {
			return fmt.Errorf("thread %d: %w but under policy %d", tid, ErrLost, attr.Policy)
		}
	}
	return nil
}

func limit(resource int) string { return limits.Soft(resource, "unlimited", "unknown") }

// capable reports whether the process has a capability in effect. In a user
// namespace the kernel may refuse all the same.
func capable(c int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[c/32].Effective&(1<<(c%32)) != 0
}
