package coordinator

import (
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/limits"
)

// However many are to be asked, few are asked at a time.
func TestFewAreAskedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		answer := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			atOnce(slices.Repeat([]int{1}, limits.Questions+1), func(int) { asked.Add(1); <-answer })
		})
		synctest.Wait()
		if n := asked.Load(); n != limits.Questions {
			t.Errorf("%d are asked at once, want %d", n, limits.Questions)
		}
		close(answer)
		all.Wait()
		if n := asked.Load(); n != limits.Questions+1 {
			t.Errorf("%d were asked in all", n)
		}
	})
}

// However many members are to be looked for, so many are at a time. One more is left
// out, and nobody waits for it.
func TestFewAreLookedForAtOnce(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	o := testOptions(t, "n1")
	o.Bootstrap = true
	left := make(chan struct{}, limits.Probes)
	o.Logger = leftOut{o.Logger, left}
	n1 := start(t, o)
	n1.awaitLeader("n1", 1)
	m := n1.n.newLiving(entry{})
	m.l = n1.n.loop.Load()
	for range limits.Probes + 1 {
		m.probe(election.Probe{Recorded: true, Addresses: []string{silent.Addr().String()}, Timeout: time.Minute})
	}
	if len(m.slot) != limits.Probes || len(left) != 1 {
		t.Errorf("%d are looked for, %d left out; want %d and 1", len(m.slot), len(left), limits.Probes)
	}
	n1.crash() // ends the loop's life, and with it the probes
	m.wg.Wait()
}

// leftOut counts the lines that say that a probe was left out.
type leftOut struct {
	hclog.Logger
	left chan struct{}
}

func (l leftOut) Named(name string) hclog.Logger { return leftOut{l.Logger.Named(name), l.left} }
func (l leftOut) With(args ...any) hclog.Logger  { return leftOut{l.Logger.With(args...), l.left} }

func (l leftOut) Warn(what string, args ...any) {
	if strings.HasPrefix(what, "too many probes") {
		l.left <- struct{}{}
	}
	l.Logger.Warn(what, args...)
}
