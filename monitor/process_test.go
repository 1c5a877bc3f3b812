package monitor

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/testwait"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	"github.com/arc-ring/arc/queue"
)

// childVar makes the test binary a monitor: it holds the socket, the
// coordinator's pid and the incarnation.
const childVar = "ARC_MONITOR_TEST_CHILD"

func TestMain(m *testing.M) {
	if args := os.Getenv(childVar); args != "" {
		os.Exit(child(strings.Fields(args)))
	}
	goleak.VerifyTestMain(m)
}

func child(args []string) int {
	ctx, alarmC, stop := Signals(context.Background())
	defer stop()
	pid, _ := strconv.Atoi(args[1])
	incarnation, _ := strconv.ParseUint(args[2], 10, 64)
	receiver, err := queue.Inherited(3)
	if err == nil {
		err = Run(ctx, Options{
			Queue: receiver, LocalSocket: args[0], CoordinatorPID: pid, Incarnation: incarnation, Doorbell: alarmC,
			Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: os.Stderr, DisableTime: true}),
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// startChild starts the monitor as a process of its own, which logs to the
// returned pipe.
func (h *home) startChild() (*exec.Cmd, *os.File) {
	h.t.Helper()
	sender, file, err := queue.New()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { sender.Close() })
	h.sender.Close()
	h.options.Queue.Close()
	h.sender = sender
	log, logged, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d 99", childVar, h.socket, h.process.Process.Pid))
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stderr = logged
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	file.Close()
	logged.Close()
	h.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
	})
	return cmd, log
}

func TestAsAProcess(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	cmd, log := h.startChild()
	r := h.await("registration", func(r *localv1.MonitorRequest) bool { return r.GetRegistration() != nil }).GetRegistration()
	if r.Pid != int64(cmd.Process.Pid) {
		t.Errorf("registered pid %d, want %d", r.Pid, cmd.Process.Pid)
	}
	h.link(slow, b)
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	h.awaitLink(b, "up")

	// A terminal's ctrl-C and hang-up reach the monitor too: it lives on.
	// Afterwards it still hears an operator.
	cmd.Process.Signal(syscall.SIGINT)
	cmd.Process.Signal(syscall.SIGHUP)
	lines := bufio.NewReader(log)
	for found := false; !found; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("its log ends: %v", err)
		}
		found = strings.Contains(line, "relinked: from=nobody to=n2 epoch=1")
	}
	testwait.Real(durations.DoorbellBelongs, "after which a signal is an operator's")
	cmd.Process.Signal(syscall.SIGUSR1)
	h.awaitLink(b, "redialled")
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, `relinked: from=n2 to=n2 epoch=1 reason="an operator's signal"`) {
		t.Errorf("its log says %q (%v)", line, err)
	}

	// Nobody reads its log any more once its coordinator is dead.
	log.Close()
	h.killCoordinator()
	select {
	case <-b.certs:
	case <-time.After(patience):
		t.Fatal("not certified")
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the monitor ends with %v", err)
	}
}

// Its coordinator may have left the ring, be out of it, or end as a member of it:
// the monitor says no more than it knows.
func TestWithoutATargetItSaysThatItWasToldSo(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	_, log := h.startChild()
	h.link(slow, b)
	h.awaitLink(b, "up")
	h.link(func(l *localv1.Link) { l.Self = nil })
	for lines := bufio.NewReader(log); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("its log ends: %v", err)
		}
		if strings.Contains(line, "to=nobody") {
			if !strings.Contains(line, `relinked: from=n2 to=nobody epoch=2 reason="told to watch nobody"`) {
				t.Errorf("its log says %q", line)
			}
			return
		}
	}
}

func TestSIGTERMEndsIt(t *testing.T) {
	h, b := newHome(t), newNode(t, 2, "n2")
	cmd, _ := h.startChild()
	h.link(nil, b)
	h.awaitLink(b, "up")
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the monitor ends with %v", err)
	}
	if len(b.certs) != 0 {
		t.Errorf("certified: %v", <-b.certs)
	}
}

// What a monitor costs at rest by the settings of profile lan, in % of a core,
// and how long after the death of its coordinator a certificate arrives. Each
// run takes some seconds: use -benchtime 1x.
func BenchmarkAtRest(b *testing.B) {
	const rest = 10 * time.Second
	for range b.N {
		h, n := newHome(b), newNode(b, 2, "n2")
		cmd, _ := h.startChild()
		h.link(func(l *localv1.Link) { l.IntervalMs, l.Misses, l.HangAfterMs = 200, 5, 5000 }, n)
		h.awaitLink(n, "up")
		before := cpuTime(b, cmd.Process.Pid)
		testwait.Real(rest, "that is measured")
		b.ReportMetric(100*float64(cpuTime(b, cmd.Process.Pid)-before)/float64(rest), "%core")
		// The coordinator's side of the queue ends with it.
		killed := time.Now()
		h.process.Process.Kill()
		h.sender.Close()
		<-n.certs
		b.ReportMetric(float64(time.Since(killed))/float64(time.Millisecond), "ms-to-certificate")
		cmd.Wait()
		b.ReportMetric(float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024, "MiB")
	}
}

// cpuTime returns what all threads of a process have used.
func cpuTime(t testing.TB, pid int) (sum time.Duration) {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no threads of %d: %v", pid, err)
	}
	for _, p := range paths {
		content, err := os.ReadFile(p)
		if err != nil {
			continue // the thread has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(content))[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}

// As soon as something that a killed process had open is closed, it is known
// to be ending; while it lives, whatever it closes, it is not.
func TestEnding(t *testing.T) {
	for range 20 {
		here, there, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		// The shell says that it has closed its standard output, and waits.
		cmd := exec.Command("/bin/sh", "-c", "exec 1>&-; echo closed >&2; read line")
		cmd.ExtraFiles = []*os.File{there}
		stdin, _ := cmd.StdinPipe()
		defer stdin.Close()
		said, _ := cmd.StderrPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = there.Close()
		p, err := openProcess(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(said).ReadString('\n'); err != nil {
			t.Fatalf("the shell says %q: %v", line, err)
		}
		if p.memory == nil {
			t.Skip("needs /proc/PID/statm, which this system does not show")
		}
		if p.ending() {
			t.Fatal("a process that lives is taken to be ending")
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if n, err := here.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Fatalf("read %d bytes, error %v, want the end", n, err)
		}
		if !p.ending() {
			t.Error("what a killed process had open is closed, and it is not ending")
		}
		_ = cmd.Wait()
		if !p.ending() || !p.gone() {
			t.Error("a process that was waited for is not gone")
		}
		p.close()
		_ = here.Close()
	}
}
