package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/netlab"
)

// usage is what a host's processes and its cable have used so far.
type usage struct {
	cpu      time.Duration
	resident int64
	sent     uint64
}

// used reads it from the kernel.
func used(h *netlab.Host) (usage, error) {
	var u usage
	for _, p := range h.Processes() {
		var ts unix.Timespec
		if err := unix.ClockGettime(processClock(p.Pid), &ts); err != nil {
			return u, fmt.Errorf("read the processor time of process %d on %s: %w", p.Pid, h, err)
		}
		u.cpu += time.Duration(ts.Nano())
		statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Pid))
		if err != nil {
			return u, err
		}
		resident, err := residentBytes(string(statm), os.Getpagesize())
		if err != nil {
			return u, fmt.Errorf("process %d on %s: %w", p.Pid, h, err)
		}
		u.resident += resident
	}
	return u, h.Do(func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return fmt.Errorf("find the cable of %s: %w", h, err)
		}
		u.sent = link.Attrs().Statistics.TxBytes
		return nil
	})
}

// processClock is the number of the clock that counts a process's processor
// time to the nanosecond, ended threads too (clock_getcpuclockid).
func processClock(pid int) int32 { return int32(^pid)<<3 | 2 }

// residentBytes reads /proc/PID/statm.
func residentBytes(statm string, page int) (int64, error) {
	fields := strings.Fields(statm)
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm says %q", statm)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("statm says %q: %w", statm, err)
	}
	return pages * int64(page), nil
}

// cost watches the settled hosts do nothing.
func (e *trialEnv) cost(ctx context.Context, window time.Duration) (Cost, error) {
	c := Cost{Hosts: len(e.hosts)}
	before, began := make([]usage, len(e.hosts)), time.Now()
	for i, h := range e.hosts {
		var err error
		if before[i], err = used(h); err != nil {
			return c, err
		}
	}
	if err := Pause(ctx, window); err != nil {
		return c, err
	}
	c.Seconds = time.Since(began).Seconds()
	n := float64(len(e.hosts))
	for i, h := range e.hosts {
		now, err := used(h)
		if err != nil {
			return c, err
		}
		c.CPUPerMinute += (now.cpu - before[i].cpu).Seconds() * 60 / c.Seconds
		sent := float64(now.sent-before[i].sent) / c.Seconds
		c.SentPerNode += sent / n
		c.SentMost = max(c.SentMost, sent)
		c.ResidentPerNode += float64(now.resident) / n
		c.ResidentMost = max(c.ResidentMost, float64(now.resident))
	}
	c.Changes = e.timeline.changes(began)
	return c, nil
}

// changes counts how often a host began to act as the leader after t.
func (l *Timeline) changes(t time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.entries {
		if e.act && e.on && e.at.After(t) {
			n++
		}
	}
	return n
}

// Pause waits, or returns early with the context's error.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
