package netlab_test

import (
	"testing"

	"github.com/arc-ring/arc/internal/netlab"
)

// Twenty hosts know each other without asking, since the kernel's limit on
// learnt neighbours counts all namespaces together.
func TestTwentyHosts(t *testing.T) {
	lab := netlab.New(t, netlab.Options{Hosts: 20})
	last := lab.Host(20)
	echoServer(t, last)
	for _, h := range lab.Hosts() {
		l := mustDial(t, h, last.Addr(0))
		l.say(h.Name())
		if !l.hears(h.Name(), patience) {
			t.Errorf("no answer to %s", h)
		}
	}
}
