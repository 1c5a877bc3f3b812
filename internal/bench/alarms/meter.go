package alarms

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// nap is how long the meter's threads sleep: short enough to see what
	// realtime rings see, long enough to leave the processors alone.
	nap = time.Millisecond
	// leastStall is the shortest time between two wake-ups that is a stall: below
	// it is what timers and interrupts do everywhere.
	leastStall = nap + time.Millisecond
	// meterPriority is the SCHED_FIFO priority of the meter's threads, of 1 to
	// 99: above realtime nodes and the kernel's threaded interrupts, so that what
	// stops a thread of the meter stops everything on that processor.
	meterPriority = 90
	// stallsKept bounds how many stalls are remembered, of all processors
	// together.
	stallsKept = 100_000
)

// meter measures Stalls until its end, with a thread on each processor that
// this process may use. There should be one at a time.
type meter struct {
	stop     atomic.Bool
	done     sync.WaitGroup
	watchers []*watcher
	stolen   time.Duration
	// parallel is GOMAXPROCS as it was.
	parallel int
}

// newMeter returns once all threads watch.
func newMeter() *meter {
	m := &meter{stolen: stolen()}
	processors := usable()
	// A thread that woke up needs a share of Go's scheduler to go on. With one for
	// each it does not wait until an ordinary thread of this process, that
	// somebody keeps off its processor, gives its own back.
	m.parallel = runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(m.parallel + len(processors))
	var ready sync.WaitGroup
	for _, p := range processors {
		w := &watcher{processor: p, keep: max(1, stallsKept/len(processors))}
		m.watchers = append(m.watchers, w)
		ready.Add(1)
		m.done.Go(func() { w.run(&m.stop, ready.Done) })
	}
	ready.Wait()
	return m
}

// end stops the threads, which takes them no longer than a nap and a stall.
func (m *meter) end() Stalls {
	m.stop.Store(true)
	m.done.Wait()
	runtime.GOMAXPROCS(m.parallel)
	s := Stalls{StolenMS: milliseconds(stolen() - m.stolen), List: []Stall{}}
	for _, w := range m.watchers {
		s.LongestMS = max(s.LongestMS, milliseconds(w.longest))
		s.Ordinary = s.Ordinary || w.ordinary
		s.Forgotten += w.forgotten
		s.List = append(s.List, w.stalls...)
	}
	slices.SortFunc(s.List, func(a, b Stall) int { return a.End.Compare(b.End) })
	return s
}

// usable lists the processors that this process may use.
func usable() (list []int) {
	var set unix.CPUSet
	// This thread's, which is that of none of an earlier meter: of the process
	// would be its first thread's, and that may have been one.
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		// More of them than the set holds. Those that the threads cannot be bound to
		// make it an ordinary meter.
		for p := range runtime.NumCPU() {
			list = append(list, p)
		}
		return list
	}
	const wordBits = 8 * int(unix.SizeofPtr)
	for p := range len(set) * wordBits {
		if set.IsSet(p) {
			list = append(list, p)
		}
	}
	return list
}

// watcher is the meter's part on one processor. Only its own goroutine touches
// it until that has ended.
type watcher struct {
	processor int
	keep      int

	ordinary  bool
	longest   time.Duration
	stalls    []Stall
	oldest    int // where in stalls, once they are as many as are kept
	forgotten int
}

func (w *watcher) run(stop *atomic.Bool, ready func()) {
	// Not unlocked: the thread ends with the goroutine (the process's first one
	// sleeps for good), and nothing else of this process ever runs bound to the
	// processor and above all others.
	runtime.LockOSThread()
	var own unix.CPUSet
	own.Set(w.processor)
	w.ordinary = errors.Join(
		unix.SchedSetaffinity(0, &own),
		unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: meterPriority}, 0),
	) != nil
	ready()
	for last := time.Now(); !stop.Load(); {
		sleep := unix.NsecToTimespec(nap.Nanoseconds())
		err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &sleep, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			// Where it is forbidden the thread must not spin, above all others.
			w.ordinary = true
			time.Sleep(nap)
		}
		now := time.Now()
		w.awake(last, now)
		last = now
	}
}

// awake notes the time between two wake-ups.
func (w *watcher) awake(last, now time.Time) {
	gap := now.Sub(last)
	w.longest = max(w.longest, gap)
	if gap <= leastStall {
		return
	}
	// Without its monotonic reading: alarms have only the time of day.
	s := Stall{Processor: w.processor, End: now.Round(0), MS: milliseconds(gap)}
	if len(w.stalls) < w.keep {
		w.stalls = append(w.stalls, s)
		return
	}
	w.stalls[w.oldest] = s
	w.oldest = (w.oldest + 1) % w.keep
	w.forgotten++
}
