package bench

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/netlab"
)

// Fault is something that happens to the leader's host.
type Fault struct {
	Name string
	// What is for people.
	What string
	// Again lets the same happen first to the leader before this one, until all
	// know the next, and this much time pass after the cable is back.
	Again time.Duration
	// prepare looks up what happen needs, so that happen is quick.
	prepare func(b *bed, d daemon, h *netlab.Host) (happen func(), undo func() error)
}

// Faults are all there are, in the order of the tables.
var Faults = []Fault{
	{Name: "kill", What: "kill -9 of the leader", prepare: kill},
	{Name: "pull", What: "the leader's cable pulled", prepare: pull},
	{Name: "stop", What: "SIGSTOP of the leader's processes", prepare: stop},
	{Name: "again", What: "pulled 0.3 s after another's came back", Again: 300 * time.Millisecond, prepare: pull},
}

// kill ends the daemon. For a system of two processes with different tasks that
// is the one that leads (see mortal).
func kill(b *bed, d daemon, h *netlab.Host) (happen func(), undo func() error) {
	victims := d.mortal(h)
	happen = func() {
		for _, p := range victims {
			h.SignalPid(p, unix.SIGKILL)
		}
	}
	undo = func() error {
		if len(victims) == 0 {
			return fmt.Errorf("no process to kill on %s", h)
		}
		return d.start(h)
	}
	return happen, undo
}

// pull takes the carrier from both ends of the cable.
func pull(b *bed, d daemon, h *netlab.Host) (happen func(), undo func() error) {
	return func() { b.lab.Pull(h) }, func() error {
		b.lab.Plug(h)
		return d.mend(h)
	}
}

// stop stops all processes on the host, the last started ones first, so that
// no parent sees its child stop.
func stop(b *bed, d daemon, h *netlab.Host) (happen func(), undo func() error) {
	all := h.Processes()
	happen = func() {
		for i := range all {
			h.SignalPid(all[len(all)-1-i], unix.SIGSTOP)
		}
	}
	undo = func() error {
		for _, p := range all {
			h.SignalPid(p, unix.SIGCONT)
		}
		return d.mend(h)
	}
	return happen, undo
}

// times are what a trial measured.
type times struct{ first, all time.Duration }
