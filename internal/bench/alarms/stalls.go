package alarms

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Stalls are what the machine did to everybody meanwhile: alarms beside a long
// stall, or much stolen time, are its own.
type Stalls struct {
	// LongestStallMS is by how much a sleep of this program was longer than
	// asked for, at most.
	LongestStallMS float64 `json:"longest_stall_ms"`
	// StolenMS is the processor time that the machine below took away from this
	// one, of all processors together.
	StolenMS float64 `json:"stolen_ms"`
}

// nap is how long the meter sleeps: short enough to see most stalls, long
// enough to cost nothing.
const nap = 5 * time.Millisecond

// meter measures Stalls until it is stopped.
type meter struct {
	stop    chan struct{}
	done    sync.WaitGroup
	longest time.Duration
	stolen  time.Duration
}

func newMeter() *meter {
	m := &meter{stop: make(chan struct{}), stolen: stolen()}
	m.done.Go(func() {
		timer := time.NewTimer(nap)
		defer timer.Stop()
		for last := time.Now(); ; {
			select {
			case <-m.stop:
				return
			case <-timer.C:
			}
			now := time.Now()
			m.longest = max(m.longest, now.Sub(last)-nap)
			last = now
			timer.Reset(nap)
		}
	})
	return m
}

func (m *meter) end() Stalls {
	close(m.stop)
	m.done.Wait()
	ms := func(d time.Duration) float64 {
		return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
	}
	return Stalls{LongestStallMS: ms(m.longest), StolenMS: ms(stolen() - m.stolen)}
}

// stolen reads the sum from the kernel; 0 where it is not told.
func stolen() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	return parseStolen(string(text))
}

func parseStolen(stat string) time.Duration {
	line, _, _ := strings.Cut(stat, "\n")
	const steal = 8 // cpu user nice system idle iowait irq softirq steal
	fields := strings.Fields(line)
	if len(fields) <= steal {
		return 0
	}
	ticks, err := strconv.ParseInt(fields[steal], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
