package logging

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
)

// reader takes lines, but none while it is held.
type reader struct {
	held sync.Mutex
	text strings.Builder
}

func (r *reader) Write(p []byte) (int, error) {
	r.held.Lock()
	defer r.held.Unlock()
	return r.text.Write(p)
}

func TestAsyncWritesEverythingInOrder(t *testing.T) {
	r := &reader{}
	log, flush := NewAsync(Options{Name: "test", Output: r, Level: hclog.Debug})
	for i := range 100 {
		log.Debug("line", "number", i)
	}
	flush()
	lines := strings.Split(strings.TrimSpace(r.text.String()), "\n")
	if len(lines) != 100 {
		t.Fatalf("%d lines, want 100", len(lines))
	}
	for i, l := range lines {
		if !strings.HasSuffix(l, fmt.Sprintf("line: number=%d", i)) {
			t.Errorf("line %d is %q", i, l)
		}
	}
	log.Info("afterwards")
	if !strings.Contains(r.text.String(), "afterwards") {
		t.Error("a line after the flush is lost")
	}
	flush() // again does no harm
}

func TestAsyncWaitsForNoReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r := &gated{gate: gate}
		log, flush := NewAsync(Options{Output: r, Level: hclog.Debug})
		const more = 10
		log.Info("first")
		synctest.Wait() // it hangs in the reader
		for i := range linesKept + more {
			log.Debug("line", "number", i)
		}
		began := time.Now()
		flush()
		if waited := time.Since(began); waited != durations.LogFlush {
			t.Errorf("the flush waited %v for a reader that stands still, want %v", waited, durations.LogFlush)
		}
		close(gate)
		synctest.Wait()
		if text := r.text.String(); !strings.Contains(text, fmt.Sprintf("log lines dropped, the reader of the log does not keep up: count=%d", more)) {
			t.Errorf("nothing is said about the %d lines that were dropped", more)
		}
	})
}

type gated struct {
	gate chan struct{}
	text strings.Builder
}

func (g *gated) Write(p []byte) (int, error) {
	<-g.gate
	return g.text.Write(p)
}
