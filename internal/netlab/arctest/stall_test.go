package arctest

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stalls are the times for which this machine did not run even what goes before all
// else: a thread that is to be woken each millisecond, on each processor.
type stalls struct {
	mu   sync.Mutex
	ends []stall
}

type stall struct {
	end  time.Time
	took time.Duration
}

// watchStalls looks until the test ends.
func watchStalls(t *testing.T) *stalls {
	s := new(stalls)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for processor := range runtime.NumCPU() {
		all.Go(func() { s.watch(ctx, processor) })
	}
	t.Cleanup(func() { cancel(); all.Wait() })
	return s
}

func (s *stalls) watch(ctx context.Context, processor int) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	var only unix.CPUSet
	only.Set(processor)
	// Without these rights stalls look longer than they are.
	_ = unix.SchedSetaffinity(0, &only)
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 90}, 0)
	pause := unix.NsecToTimespec(int64(time.Millisecond))
	for last := time.Now(); ctx.Err() == nil; {
		_ = unix.Nanosleep(&pause, nil)
		now := time.Now()
		if took := now.Sub(last); took > 2*time.Millisecond {
			s.mu.Lock()
			s.ends = append(s.ends, stall{now, took})
			s.mu.Unlock()
		}
		last = now
	}
}

// longest returns the longest one of which a part lay between two moments. At the later
// one another processor may stand still yet.
func (s *stalls) longest(from, to time.Time) (took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.ends {
		if e.end.After(from) && e.end.Add(-e.took).Before(to) {
			took = max(took, e.took)
		}
	}
	return took
}
