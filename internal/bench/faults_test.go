package bench

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/netlab"
)

// A process that sees another of its daemon die may say goodbye, which no crash
// does: keepalived's child gave the address up when its parent was killed first,
// and the "failover" took one millisecond.
func TestNoProcessLivesToSeeAnotherDie(t *testing.T) {
	one := netlab.Found{Pid: 7, Parent: 1}
	parent, child, grandchild := netlab.Found{Pid: 20, Parent: 1}, netlab.Found{Pid: 21, Parent: 20}, netlab.Found{Pid: 9, Parent: 21}
	for name, c := range map[string]struct {
		daemon []netlab.Found
		what   unix.Signal
		want   []signal
	}{
		"nothing":   {nil, unix.SIGKILL, nil},
		"one":       {[]netlab.Found{one}, unix.SIGKILL, []signal{{one, unix.SIGKILL}}},
		"strangers": {[]netlab.Found{one, parent}, unix.SIGKILL, []signal{{parent, unix.SIGKILL}, {one, unix.SIGKILL}}},
		"a family, killed": {
			[]netlab.Found{grandchild, parent, child}, unix.SIGKILL,
			[]signal{{parent, unix.SIGSTOP}, {child, unix.SIGSTOP}, {grandchild, unix.SIGKILL}, {child, unix.SIGKILL}, {parent, unix.SIGKILL}},
		},
		"a family, stopped": {
			[]netlab.Found{grandchild, parent, child}, unix.SIGSTOP,
			[]signal{{parent, unix.SIGSTOP}, {child, unix.SIGSTOP}, {grandchild, unix.SIGSTOP}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			same := func(a, b signal) bool { return a.to.Pid == b.to.Pid && a.what == b.what }
			if got := atOnce(c.daemon, c.what); !slices.EqualFunc(got, c.want, same) {
				t.Errorf("signals %v\nwant    %v", got, c.want)
			}
		})
	}
}
