package bench

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// MostLabs is the default for how many labs are measured side by side at most.
const MostLabs = 16

const (
	// perLab is how much of a failover's time allows another lab beside: what
	// takes some seconds is not disturbed by others that wake up a processor for
	// some milliseconds; what takes less than two of these is measured alone.
	perLab = 250 * time.Millisecond
	// At rest all labs together take at most this share of the processors, and
	// of the memory that is free.
	idleShare, memoryShare = 0.25, 0.7
	// Labs side by side have at most so many hosts.
	mostHosts = 160
)

// shape is what decides how many labs stand side by side.
type shape struct {
	takes  time.Duration // of a failover
	hosts  int           // of a lab
	trials int           // of all of them
	most   int           // by request, 0 for one
	// What the first lab takes: cores of all that there are, bytes of those that
	// were free.
	cores, allCores   float64
	memory, allMemory float64
}

// labs is how many labs may be measured side by side: one, unless failovers take
// seconds and the daemons hardly anything.
func (s shape) labs() int {
	n := min(int(s.takes/perLab), s.trials, s.most, mostHosts/max(s.hosts, 1))
	if s.cores > 0 {
		n = min(n, int(s.allCores*idleShare/s.cores))
	}
	if s.memory > 0 {
		n = min(n, int(s.allMemory*memoryShare/s.memory))
	}
	return max(n, 1)
}

// estimated is shape before anything is known of the lab.
func (r *runner) estimated(s System, n, trials int) shape {
	return shape{takes: s.Takes(n), hosts: n, trials: trials, most: r.Labs}
}

// sideBySide says in how many labs a series may be measured, the first of which
// stands already, and was made when so much memory was free.
func (c *series) sideBySide(ctx context.Context, first *trialEnv, free int64, atRest *Cost) (int, error) {
	s := c.estimated(c.system, c.hosts, c.left())
	if s.labs() == 1 {
		return 1, nil
	}
	if atRest == nil {
		const window = time.Second
		cost, err := first.cost(ctx, window)
		if err != nil {
			return 0, err
		}
		atRest = &cost
	}
	s.cores, s.allCores = atRest.CPUPerMinute/60, float64(runtime.NumCPU())
	// Disks in memory are not resident in any process.
	s.memory, s.allMemory = max(float64(free-freeMemory()), atRest.ResidentPerNode*float64(c.hosts)), float64(free)
	return s.labs(), nil
}

// freeMemory is how many bytes programs may still take; 0 if it is not known.
func freeMemory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	return parseFreeMemory(string(text))
}

func parseFreeMemory(meminfo string) int64 {
	for line := range strings.Lines(meminfo) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}

const (
	// The machine is quiet when it was busy for less than quietShare of its
	// processor time in quietWindow; it is waited for that for quietWait.
	quietShare  = 0.05
	quietWindow = 300 * time.Millisecond
	quietWait   = 5 * time.Second
	// A machine that is never quiet shall not keep a run longer than this.
	quietWaits = 30 * time.Second
)

// quiet waits until the kernel has removed the last labs, and for whatever else
// the machine does, for a while.
func (r *runner) quiet(ctx context.Context) error {
	var share float64
	began := time.Now()
	defer count(&r.waited, began)
	for time.Since(began) < min(quietWait, quietWaits-r.waited) {
		busy, all := processorTime()
		if err := Pause(ctx, quietWindow); err != nil {
			return err
		}
		busyNow, allNow := processorTime()
		if share = 0; allNow > all {
			share = (busyNow - busy) / (allNow - all)
		}
		if share < quietShare {
			return nil
		}
	}
	if share > 0 {
		r.Say("the machine is busy for %.0f %% of its processor time with something else", share*100)
	}
	return nil
}

// processorTime is how much of it was used since the start of the machine, and
// how much there was, in the kernel's ticks; 0 if it is not known.
func processorTime() (busy, all float64) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	return parseProcessorTime(string(text))
}

// parseProcessorTime reads the first line of /proc/stat, "cpu" and then user,
// nice, system, idle, iowait, irq, softirq, steal; what follows is in user.
func parseProcessorTime(stat string) (busy, all float64) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	for i, field := range fields[min(1, len(fields)):min(9, len(fields))] {
		ticks, _ := strconv.ParseFloat(field, 64)
		all += ticks
		if i != 3 && i != 4 {
			busy += ticks
		}
	}
	return busy, all
}

// beside says in how many labs something was measured, for people.
func beside(labs int) string {
	if labs <= 1 {
		return "alone"
	}
	return fmt.Sprintf("%d labs side by side", labs)
}
