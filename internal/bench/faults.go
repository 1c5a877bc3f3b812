package bench

import (
	"fmt"
	"slices"
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
	prepare func(e *trialEnv, h *netlab.Host) (happen func(), undo func() error)
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
func kill(e *trialEnv, h *netlab.Host) (happen func(), undo func() error) {
	victims := e.daemon.mortal(h)
	signals := atOnce(victims, unix.SIGKILL)
	happen = func() {
		for _, s := range signals {
			h.SignalPid(s.to, s.what)
		}
	}
	undo = func() error {
		if len(victims) == 0 {
			return fmt.Errorf("no process to kill on %s", h)
		}
		return e.daemon.start(h)
	}
	return happen, undo
}

// signal is one that a process gets.
type signal struct {
	to   netlab.Found
	what unix.Signal
}

// atOnce is how processes of one daemon get a signal as if it were one moment,
// so that none acts on what happens to another. A child that lives on when its
// parent has died may say goodbye: keepalived's gives up its address, and others
// have it a millisecond later, which no crash of a machine does. A parent that
// sees its child die may start another. So parents are stopped first, and then
// children come before their parents.
func atOnce(daemon []netlab.Found, what unix.Signal) []signal {
	depth := map[int]int{}
	parents := map[int]bool{}
	for _, p := range daemon {
		depth[p.Pid] = 1
	}
	for range daemon { // as deep as it can be
		for _, p := range daemon {
			if above := depth[p.Parent]; above > 0 {
				depth[p.Pid] = above + 1
				parents[p.Parent] = true
			}
		}
	}
	order := slices.Clone(daemon)
	slices.SortStableFunc(order, func(a, b netlab.Found) int { return depth[a.Pid] - depth[b.Pid] })
	var list []signal
	for _, p := range order {
		if parents[p.Pid] {
			list = append(list, signal{p, unix.SIGSTOP})
		}
	}
	for _, p := range slices.Backward(order) {
		if what != unix.SIGSTOP || !parents[p.Pid] {
			list = append(list, signal{p, what})
		}
	}
	return list
}

// pull takes the carrier from both ends of the cable.
func pull(e *trialEnv, h *netlab.Host) (happen func(), undo func() error) {
	return func() { e.lab.Pull(h) }, func() error {
		e.lab.Plug(h)
		return e.daemon.mend(h)
	}
}

// stop stops all processes on the host.
func stop(e *trialEnv, h *netlab.Host) (happen func(), undo func() error) {
	all := h.Processes()
	signals := atOnce(all, unix.SIGSTOP)
	happen = func() {
		for _, s := range signals {
			h.SignalPid(s.to, s.what)
		}
	}
	undo = func() error {
		for _, p := range all {
			h.SignalPid(p, unix.SIGCONT)
		}
		return e.daemon.mend(h)
	}
	return happen, undo
}
