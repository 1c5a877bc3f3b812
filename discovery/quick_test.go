package discovery

import (
	"fmt"
	"testing"
	"time"
)

// How long it takes on a network like a LAN, in virtual time.
func TestFoundingIsQuick(t *testing.T) {
	for _, c := range []struct {
		nodes int
		bound time.Duration
	}{{3, 200 * time.Millisecond}, {5, 200 * time.Millisecond}, {20, 300 * time.Millisecond}, {100, 500 * time.Millisecond}} {
		t.Run(fmt.Sprint(c.nodes), func(t *testing.T) {
			w := newWorld(t, 7)
			for i := range c.nodes {
				w.at(time.Duration(w.rng.Int64N(int64(20*time.Millisecond))), w.add(fmt.Sprintf("n%03d", i), c.nodes).boot)
			}
			w.run(time.Minute, func() bool { return len(w.founders) > 0 })
			took := w.now.Sub(w.start)
			if len(w.founders) != 1 || took > c.bound {
				w.fail("founders %v after %s, want one within %s", w.founders, took, c.bound)
			}
			t.Logf("%d nodes: founded after %s", c.nodes, took)
		})
	}
}
