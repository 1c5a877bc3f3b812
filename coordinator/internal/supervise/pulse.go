package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/monotime"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
)

// beatsMissed is how many beats in a row a monitor may leave out.
const beatsMissed = 4

var (
	// errNotStarted: no process came about.
	errNotStarted = errors.New("start monitor")
	// errSilent: the process is there and does nothing.
	errSilent = errors.New("it gave no sign of life, as if it was stopped, and was killed")
)

// pulse judges by a monitor's beats whether it runs. A process that is stopped
// keeps its connections and its pid; only what it does not do shows.
type pulse struct {
	// last is when it gave a sign of life, or began; due is when this process
	// meant to look again.
	last, due election.Instant
	begun     bool // it registered
}

func (p *pulse) begin(now election.Instant) { *p = pulse{last: now} }

func (p *pulse) beat(now election.Instant) { p.last, p.begun = now, true }

// check reports whether the monitor is silent for longer than patience, and when
// to look again. Time in which this process itself did not run is not held
// against the monitor: its beats may wait to be read.
func (p *pulse) check(now election.Instant, patience time.Duration) (next election.Instant, silent bool) {
	limit := patience
	if !p.begun {
		limit = max(limit, durations.MonitorStart)
	}
	if p.due != 0 && now > p.due.Add(patience/4) {
		p.last = max(p.last, now.Add(-patience/2))
	}
	if now >= p.last.Add(limit) {
		return 0, true
	}
	p.due = min(p.last.Add(limit), now.Add(patience))
	return p.due, false
}

// patienceWith is how long a monitor with this link may be silent: a few beats,
// and twice what it itself takes to suspect its neighbour.
func patienceWith(l *localv1.Link) time.Duration {
	beat := cmp.Or(time.Duration(l.GetBeatMs())*time.Millisecond, durations.Beat)
	return max(beatsMissed*beat, 2*time.Duration(l.GetIntervalMs())*time.Duration(l.GetMisses()+1)*time.Millisecond)
}

// Beat notes a sign of life of the monitor with the pid.
func (s *Supervisor) Beat(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil && s.process.Pid == pid {
		s.pulse.beat(monotime.Now())
	}
}

// attend waits until the monitor has ended, or was silent for too long and was
// killed, and returns why; nil if ctx ended before.
func (s *Supervisor) attend(ctx context.Context, p *os.Process, ended <-chan error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("its process ended: %w", cmp.Or(err, errors.New("exit status 0")))
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		now := monotime.Now()
		s.mu.Lock()
		next, silent := s.pulse.check(now, patienceWith(s.link))
		since := now.Sub(s.pulse.last)
		s.mu.Unlock()
		if !silent {
			timer.Reset(next.Sub(now))
			continue
		}
		_ = p.Kill() // it has ended already, or will
		select {
		case <-ended:
		case <-time.After(durations.MonitorStop): // it hangs in the kernel, and ends when it comes back
		}
		return fmt.Errorf("%w: silent for %v", errSilent, since.Round(time.Millisecond))
	}
}

// Why says why no monitor runs; empty while one does.
func (s *Supervisor) Why() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missing
}

// setMissingLocked tells when a monitor is missed, and when there is one again.
func (s *Supervisor) setMissingLocked(why string) {
	told := s.missing != ""
	s.missing = why
	if told != (why != "") && s.o.Changed != nil {
		s.o.Changed(why)
	}
}

// startError adds what an operator can do about a start that failed.
func startError(err error) error {
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w; is /proc mounted, and may programs be executed from where arc is installed?", errNotStarted, err)
	}
	return fmt.Errorf("%w: %w", errNotStarted, limits.ExplainStart(err))
}
