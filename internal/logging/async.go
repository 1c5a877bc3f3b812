package logging

import (
	"io"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
)

// linesKept bounds the lines that wait for a reader that is slow, or stands
// still; newer ones are dropped and counted.
const linesKept = 4096

// NewAsync is New for a process that must not wait for the reader of its log: a
// terminal that is held, a full pipe. Lines are written by a goroutine of its
// own; flush, which has to be called once at the end, waits for it, for a second
// at most. What the process could not write before it was killed is lost.
//
// The process outlives its log: from now on SIGPIPE does not end it. Lines that
// cannot be written are dropped, and counted in the log once it takes lines again.
//
// Lines of one kind that come too often are left out and counted, too.
func NewAsync(o Options) (log hclog.Logger, flush func()) {
	a := &async{out: o.Output, lines: make(chan []byte, linesKept), ended: make(chan struct{})}
	o.Output = a
	limits := &limiter{kinds: map[lineKind]*budget{}}
	o.exclude = limits.exclude
	log = New(o)
	limits.log = log
	outliveReaders()
	go a.run(log)
	return log, func() { limits.close(); a.close() }
}

// outliveReaders keeps a write to stdout or stderr that has no reader any more
// from ending the process: Go raises SIGPIPE there unless the signal is taken or
// ignored. It is ignored: taken, it would cost a goroutine's run for each socket
// that breaks. Child processes inherit that: the monitor, which is the only one
// today, ignores it too, and who starts others has to undo it.
var outliveReaders = sync.OnceFunc(func() { signal.Ignore(syscall.SIGPIPE) })

type async struct {
	out     io.Writer
	lines   chan []byte
	ended   chan struct{}
	dropped atomic.Uint64 // lines that found no room in the queue

	mu     sync.RWMutex // held for reading while a line is queued
	closed bool
}

// Write takes one line. It never waits.
func (a *async) Write(line []byte) (int, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.closed {
		return a.out.Write(line)
	}
	select {
	case a.lines <- append([]byte(nil), line...):
	default:
		a.dropped.Add(1)
	}
	return len(line), nil
}

func (a *async) run(log hclog.Logger) {
	defer close(a.ended)
	unwritten := 0
	for line := range a.lines {
		// Nobody can be told that the log cannot be written until it can be.
		if _, err := a.out.Write(line); err != nil {
			unwritten++
			continue
		}
		// Both are queued like any other line: there is room again.
		if n := a.dropped.Swap(0); n > 0 {
			log.Warn("log lines dropped, the reader of the log does not keep up", "count", n)
		}
		if unwritten > 0 {
			log.Warn("log lines dropped, the log could not be written", "count", unwritten)
			unwritten = 0
		}
	}
}

func (a *async) close() {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.lines)
	}
	a.mu.Unlock()
	select {
	case <-a.ended:
	case <-time.After(durations.LogFlush):
	}
}
