package netlab_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
	"github.com/arc-ring/arc/internal/testwait"
)

func TestHostsSeeEachOther(t *testing.T) {
	before := interfaces(t)
	lab := netlab.New(t, netlab.Options{Hosts: 3, Networks: 2})
	for _, h := range lab.Hosts() {
		echoServer(t, h)
	}
	for _, a := range lab.Hosts() {
		for _, b := range lab.Hosts() {
			for k := range 2 {
				l := mustDial(t, a, b.Addr(k))
				word := fmt.Sprintf("%s to %s over %d", a, b, k)
				l.say(word)
				if !l.hears(word, patience) {
					t.Errorf("%s: no answer", word)
				}
			}
		}
	}
	if after := interfaces(t); !slices.Equal(before, after) {
		t.Errorf("the machine's own interfaces were %q and are %q", before, after)
	}
}

func interfaces(t *testing.T) []string {
	t.Helper()
	list, err := net.Interfaces()
	must(t, err)
	var names []string
	for _, i := range list {
		names = append(names, i.Name)
	}
	return names
}

func TestBroadcastReachesAll(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 3})
	sender := openMailbox(t, lab.Host(1))
	others := []*mailbox{openMailbox(t, lab.Host(2)), openMailbox(t, lab.Host(3))}
	sender.send(netip.MustParseAddr("10.77.0.255"), "hello")
	for i, m := range others {
		if got := m.next(patience); got != "hello" {
			t.Errorf("%s heard %q", lab.Host(i+2), got)
		}
	}
}

func TestAHostHasItsOwnNameProcessesAndRunDirectory(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 2})
	out, err := lab.Host(2).Run(patience, "/bin/sh", "-c", "hostname; echo 2 > /run/mark; ls /run; ls -d /proc/[0-9]* | wc -l")
	must(t, err)
	words := strings.Fields(out)
	if len(words) != 3 || words[0] != "n2" || words[1] != "mark" || len(words[2]) != 1 {
		t.Errorf("got %q, want n2, mark, a handful of processes", words)
	}
	if _, err := os.Stat(lab.Host(2).Outside("/run/mark")); err != nil {
		t.Errorf("from outside: %v", err)
	}
	if _, err := os.Stat(lab.Host(1).Outside("/run/mark")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the other host sees the file too: %v", err)
	}
	_, err = lab.Host(1).Run(patience, "/bin/sh", "-c", "echo no such thing >&2; exit 3")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("a program that fails: %v", err)
	}
}

func TestPulledCable(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 2})
	a, b := lab.Host(1), lab.Host(2)
	echoServer(t, b)
	l := mustDial(t, a, b.Addr(0))
	l.say("one")
	if !l.hears("one", patience) {
		t.Fatal("no answer before the pull")
	}
	if !carrier(t, b) {
		t.Fatal("no carrier before the pull")
	}

	lab.Pull(b)
	if carrier(t, b) {
		t.Error("the link of a pulled host has a carrier")
	}
	l.say("two")
	if l.hears("two", 300*time.Millisecond) {
		t.Error("an answer without a cable")
	}

	lab.Plug(b)
	if !l.hears("two", patience) {
		t.Error("what was said while the cable was out never arrived")
	}
}

// carrier reports whether the host's first interface has a carrier.
func carrier(t *testing.T, h *netlab.Host) bool {
	t.Helper()
	var running bool
	must(t, h.Do(func() error {
		i, err := net.InterfaceByName("eth0")
		running = err == nil && i.Flags&net.FlagRunning != 0
		return err
	}))
	return running
}

func TestOneOfTwoNetworksPulled(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 2, Networks: 2})
	a, b := lab.Host(1), lab.Host(2)
	echoServer(t, b)
	lab.PullFrom(b, 0)
	if _, err := dial(t, a, b.Addr(0), 200*time.Millisecond); err == nil {
		t.Error("reached over the pulled cable")
	}
	l := mustDial(t, a, b.Addr(1))
	l.say("still here")
	if !l.hears("still here", patience) {
		t.Error("the other network went with it")
	}
	lab.PlugInto(b, 0)
	mustDial(t, a, b.Addr(0))
}

func TestCutOneWay(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 3})
	a, b, c := lab.Host(1), lab.Host(2), lab.Host(3)
	atA, atB, atC := openMailbox(t, a), openMailbox(t, b), openMailbox(t, c)
	// So that nobody has to ask for a hardware address through the cut.
	for _, m := range []*mailbox{atA, atB} {
		m.send(c.Addr(0), "warm")
		if atC.next(patience) != "warm" {
			t.Fatal("no path to n3")
		}
	}
	atA.send(b.Addr(0), "warm")
	if atB.next(patience) != "warm" {
		t.Fatal("no path from n1 to n2")
	}

	lab.CutOneWay(a, b)
	atA.send(b.Addr(0), "lost")
	atB.send(a.Addr(0), "passes")
	if got := atA.next(patience); got != "passes" {
		t.Errorf("against the cut: %q", got)
	}
	atA.send(c.Addr(0), "third")
	if got := atC.next(patience); got != "third" {
		t.Errorf("beside the cut: %q", got)
	}
	atA.send(netip.MustParseAddr("10.77.0.255"), "to all")
	if got := atC.next(patience); got != "to all" {
		t.Errorf("broadcast beside the cut: %q", got)
	}
	if got := atB.next(200 * time.Millisecond); got != "" {
		t.Errorf("through the cut: %q", got)
	}

	lab.Mend(a, b)
	atA.send(b.Addr(0), "again")
	if got := atB.next(patience); got != "again" {
		t.Errorf("after mending: %q", got)
	}
}

func TestPartitionAndHeal(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 4})
	for _, h := range lab.Hosts() {
		echoServer(t, h)
	}
	group := func(h *netlab.Host) int { return h.Number() / 3 }
	lab.Partition(lab.Hosts()[:2], lab.Hosts()[2:])
	for _, a := range lab.Hosts() {
		for _, b := range lab.Hosts() {
			if a == b {
				continue
			}
			_, err := dial(t, a, b.Addr(0), 100*time.Millisecond)
			if same := group(a) == group(b); same != (err == nil) {
				t.Errorf("%s to %s: same side %v, error %v", a, b, same, err)
			}
		}
	}
	lab.Heal()
	for _, b := range lab.Hosts() {
		mustDial(t, lab.Host(1), b.Addr(0))
	}
}

func TestPowerCutAndBoot(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 2})
	a, b := lab.Host(1), lab.Host(2)
	p := b.Start("/bin/sleep", "1000")
	must(t, os.WriteFile(filepath.Join(b.Dir(), "kept"), nil, 0o600))
	b.PowerOff()
	if state := p.Wait(patience); state.Success() {
		t.Errorf("the process ended with %v", state)
	}
	b.Boot()
	echoServer(t, b)
	mustDial(t, a, b.Addr(0))
	if _, err := os.Stat(filepath.Join(b.Dir(), "kept")); err != nil {
		t.Errorf("the host's directory after a power cut: %v", err)
	}
}

func TestProcessesAreFoundStoppedAndKilled(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 2})
	h := lab.Host(1)
	p := h.Start("/bin/sh", "-c", "sleep 4321 & exec sleep 4322")
	testwait.Until(t, patience, "both run", func() bool {
		return len(h.Find("sleep", "4321")) == 1 && len(h.Find("sleep", "4322")) == 1
	})
	if found := h.Find("sleep", "4322"); found[0].Pid != p.Pid() {
		t.Errorf("found %+v, started %d", found, p.Pid())
	}
	if found := lab.Host(2).Processes(); len(found) != 0 {
		t.Errorf("the other host runs %+v", found)
	}

	p.Stop()
	testwait.Until(t, patience, "stopped", func() bool { return processState(t, p.Pid()) == "T" })
	p.Continue()
	testwait.Until(t, patience, "goes on", func() bool { return processState(t, p.Pid()) == "S" })
	h.Freeze()
	testwait.Until(t, patience, "frozen", func() bool { return processState(t, h.Find("sleep", "4321")[0].Pid) == "T" })
	h.Thaw()

	p.Kill()
	orphan := h.Find("sleep", "4321")
	if len(orphan) != 1 {
		t.Fatalf("the child went with its parent: %+v", orphan)
	}
	h.SignalPid(orphan[0], syscall.SIGKILL)
	testwait.Until(t, patience, "the orphan is gone", func() bool { return len(h.Processes()) == 0 })
}

func processState(t *testing.T, pid int) string {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(content), ") ")
	return rest[:1]
}

func TestFullDisk(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 2, DiskBytes: 1 << 20})
	h := lab.Host(1)
	write := "echo something > " + filepath.Join(h.Dir(), "file")
	h.FillDisk()
	if _, err := h.Run(patience, "/bin/sh", "-c", write); err == nil {
		t.Error("wrote to a full disk")
	}
	h.FreeDisk()
	_, err := h.Run(patience, "/bin/sh", "-c", write)
	must(t, err)
}

// The kernel alone has to clean up when the lab's process cannot.
func TestNothingOutlivesItsKilledMaker(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	mark := fmt.Sprintf("%d", 1_000_000+os.Getpid())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), inLab+"=keeper", "NETLAB_TEST_MARK="+mark, "TMPDIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	must(t, err)
	defer input.Close()
	output, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	first, err := bufio.NewReader(output).ReadString('\n')
	if err != nil || first != "ready\n" {
		_ = cmd.Process.Kill()
		t.Fatalf("the keeper says %q, %v", first, err)
	}
	if len(sleepers(t, mark)) != 2 {
		t.Errorf("the keeper's hosts run %q", sleepers(t, mark))
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	testwait.Until(t, patience, "all processes of the lab are gone", func() bool { return len(sleepers(t, mark)) == 0 })
}

// sleepers returns the processes of this machine that have mark as argument.
func sleepers(t *testing.T, mark string) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	var found []string
	for _, name := range lines {
		if content, err := os.ReadFile(name); err == nil && strings.Contains(string(content), "\x00"+mark) {
			found = append(found, name)
		}
	}
	return found
}
