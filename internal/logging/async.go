package logging

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// linesKept bounds the lines that wait for a reader that is slow, or stands
	// still; newer ones are dropped and counted.
	linesKept = 4096
	// flushWait is how long the end of the process waits for such a reader.
	flushWait = time.Second
)

// NewAsync is New for a process that must not wait for whoever reads its log: a
// terminal that is held, a full pipe. Lines are written by a goroutine of its
// own; flush, which has to be called once at the end, waits for it, for a second
// at most. What the process could not write before it was killed is lost.
func NewAsync(o Options) (log hclog.Logger, flush func(), err error) {
	if o.Output == nil {
		o.Output = os.Stderr
	}
	a := &async{out: o.Output, lines: make(chan []byte, linesKept), ended: make(chan struct{})}
	o.Output = a
	if log, err = New(o); err != nil {
		return nil, nil, err
	}
	go a.run(log)
	return log, a.close, nil
}

type async struct {
	out     io.Writer
	lines   chan []byte
	ended   chan struct{}
	dropped atomic.Uint64

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
	for line := range a.lines {
		// There is nobody who could be told that the log cannot be written.
		_, _ = a.out.Write(line)
		if n := a.dropped.Swap(0); n > 0 {
			// Queued like any other: there is room again.
			log.Warn("log lines dropped, whoever reads the log does not keep up", "count", n)
		}
	}
}

func (a *async) close() {
	a.mu.Lock()
	was := a.closed
	a.closed = true
	a.mu.Unlock()
	if !was {
		close(a.lines)
	}
	late := time.NewTimer(flushWait)
	defer late.Stop()
	select {
	case <-a.ended:
	case <-late.C:
	}
}
