package monitor

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/testwait"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

const starveFor = 2 * time.Second

// ownStalls tells the longest time for which this process, which plays the
// neighbour, did not run: what the monitor says then is no fault of its own.
type ownStalls struct {
	stop chan struct{}
	done sync.WaitGroup
	most time.Duration
}

func watchOwnStalls() *ownStalls {
	s := &ownStalls{stop: make(chan struct{})}
	s.done.Go(func() {
		const nap = time.Millisecond
		for last := time.Now(); ; {
			select {
			case <-s.stop:
				return
			case <-time.After(nap):
			}
			s.most = max(s.most, time.Since(last)-nap)
			last = time.Now()
		}
	})
	return s
}

func (s *ownStalls) end() time.Duration {
	close(s.stop)
	s.done.Wait()
	return s.most
}

// A monitor that does not get to run suspects nobody who is well, and still
// notices who is not.
func TestAStarvedProcessSuspectsNobodyWhoIsWell(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starves a monitor of its processor for seconds")
	}
	for _, c := range []struct {
		name       string
		starve     func(t *testing.T, pid int)
		intervalMS uint32
		misses     uint32
	}{
		// Each stop costs one probe: with one miss it would be a suspicion.
		{"stopped for 0.1 s again and again", stopAgainAndAgain, 30, 1},
		{"idle priority beside a busy loop", neverScheduled, 10, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			interval := time.Duration(c.intervalMS) * time.Millisecond
			h, b := newHome(t), newNode(t, 2, "n2")
			cmd, _ := h.startChild()
			h.await("registration", func(r *localv1.MonitorRequest) bool { return r.GetRegistration() != nil })
			h.link(func(l *localv1.Link) {
				l.IntervalMs, l.LeaderIntervalMs, l.Misses, l.LeaderMisses = c.intervalMS, c.intervalMS, c.misses, c.misses
			}, b)
			h.awaitLink(b, "up")
			own, before := watchOwnStalls(), b.pings.Load()
			h.suspicions() // of the first dial
			c.starve(t, cmd.Process.Pid)
			stalled := own.end()
			probes := b.pings.Load() - before
			t.Logf("%d probes instead of %d; this process stood still for %v at most", probes, starveFor/interval, stalled)
			for _, s := range h.suspicions() {
				if stalled >= interval*time.Duration(c.misses)/2 {
					t.Skipf("this machine is too busy to tell: %v", s)
				}
				t.Errorf("suspected: %v", s)
			}

			b.mute.Store(true)
			h.awaitSuspicion(b, "silent")
		})
	}
}

func stopAgainAndAgain(t *testing.T, pid int) {
	for end := time.Now().Add(starveFor); time.Now().Before(end); {
		for _, step := range []struct {
			sig   syscall.Signal
			lasts time.Duration
		}{{syscall.SIGSTOP, 100 * time.Millisecond}, {syscall.SIGCONT, 100 * time.Millisecond}} {
			if err := syscall.Kill(pid, step.sig); err != nil {
				t.Fatal(err)
			}
			testwait.Real(step.lasts, "that the step lasts")
		}
	}
}

// neverScheduled shares one processor between the monitor, at idle priority,
// and a program that never rests; this process has the others.
func neverScheduled(t *testing.T, pid int) {
	if runtime.NumCPU() < 2 {
		t.Skip("needs two processors: one is taken from the monitor, the test runs on the other")
	}
	var one unix.CPUSet
	one.Set(runtime.NumCPU() - 1)
	busy := exec.Command("/bin/sh", "-c", "while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		busy.Process.Kill()
		busy.Wait()
	}()
	onOne := func(pid int) {
		t.Helper()
		if err := unix.SchedSetaffinity(pid, &one); err != nil {
			t.Fatal(err)
		}
	}
	onOne(busy.Process.Pid)
	for _, tid := range threads(t, pid) {
		onOne(tid)
		if err := unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
			t.Fatal(err)
		}
	}
	testwait.Real(starveFor, "in which it starves")
}

func threads(t *testing.T, pid int) (ids []int) {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}
