package netlab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Found is a process on a host, started by the lab or by another process.
type Found struct {
	// Pid is its number as the test sees it.
	Pid int
	// Args is its command line.
	Args []string
	// Parent is the parent's number as the test sees it; 0 if that is not on
	// this machine any more.
	Parent int
	// CPU is the processor time that it took so far, to 10 ms.
	CPU time.Duration
}

// Processes lists what runs on the host, by process number, without the
// host's own first process and without what has ended already.
func (h *Host) Processes() []Found {
	h.lab.t.Helper()
	h.mustBeOn()
	found, err := h.processes()
	if err != nil {
		h.lab.t.Fatalf("netlab: list the processes of %s: %v", h, err)
	}
	return found
}

// Find returns the processes whose command line has all these words, each
// equal to one argument or to the base name of the program.
func (h *Host) Find(words ...string) []Found {
	h.lab.t.Helper()
	var list []Found
	for _, p := range h.Processes() {
		if p.has(words) {
			list = append(list, p)
		}
	}
	return list
}

func (f Found) has(words []string) bool {
	for _, w := range words {
		ok := len(f.Args) > 0 && filepath.Base(f.Args[0]) == w
		for _, a := range f.Args {
			ok = ok || a == w
		}
		if !ok {
			return false
		}
	}
	return true
}

func (h *Host) processes() ([]Found, error) {
	own := h.first.Process.Pid
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", own))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var list []Found
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == own {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		// What cannot be read has ended meanwhile.
		if in, err := os.Readlink(filepath.Join(dir, "ns", "pid")); err != nil || in != space {
			continue
		}
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(line) == 0 {
			continue
		}
		list = append(list, Found{
			Pid: pid, Parent: parentOf(dir), CPU: cpuOf(dir),
			Args: strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"),
		})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Pid < list[j].Pid })
	return list, nil
}

// cpuOf is the user and system time of a process, which the kernel counts in
// hundredths of a second.
func cpuOf(dir string) time.Duration {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0
	}
	// The second field, a name in parentheses, may hold anything.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

func parentOf(dir string) int {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
			pid, _ := strconv.Atoi(strings.TrimSpace(rest))
			return pid
		}
	}
	return 0
}

// SignalPid sends a signal to a process that Processes or Find returned; one
// that has ended is no mistake.
func (h *Host) SignalPid(f Found, s syscall.Signal) {
	h.lab.t.Helper()
	if err := syscall.Kill(f.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		h.lab.t.Fatalf("netlab: send %v to process %d on %s: %v", s, f.Pid, h, err)
	}
}

// Freeze stops everything on the host, as when a virtual machine is paused,
// but for the kernel: it still answers pings and acknowledges data. Its clocks
// go on.
func (h *Host) Freeze() {
	h.lab.t.Helper()
	// Twice, since the first round may miss what is being started.
	for range 2 {
		for _, f := range h.Processes() {
			h.SignalPid(f, syscall.SIGSTOP)
		}
	}
}

// Thaw undoes Freeze.
func (h *Host) Thaw() {
	h.lab.t.Helper()
	for _, f := range h.Processes() {
		h.SignalPid(f, syscall.SIGCONT)
	}
}
