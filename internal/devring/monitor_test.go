package devring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/observe"
)

var errNotYet = errors.New("not yet")

// kill -9 of a monitor: nothing but a new monitor with the same link.
func TestMonitorIsReplaced(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	mark := r.Mark()
	for _, n := range r.Nodes() {
		old, err := n.MonitorPID()
		must(t, err)
		logged := int64(len(n.LogTail(1 << 20)))
		must(t, n.KillMonitor())
		must(t, r.Until(within(t, stepBound), "a new monitor of "+n.name, func(context.Context) error {
			pid, err := n.MonitorPID()
			if err == nil && pid == old {
				err = errNotYet
			}
			return err
		}))
		// It has the same link again.
		want := "to=" + next(st, n.name)
		must(t, r.Until(within(t, stepBound), "the link of the new monitor", func(context.Context) error {
			log := n.LogTail(1 << 20)[logged:]
			if !strings.Contains(log, "monitor: relinked:") || !strings.Contains(log, want) {
				return fmt.Errorf("no %q in %q", want, log)
			}
			return nil
		}))
	}
	after := awaitRing(t, r, stepBound)
	if after.GetEpoch() != st.GetEpoch() || after.GetTerm() != st.GetTerm() {
		t.Errorf("epoch %d token %d, then %d and %d", st.GetEpoch(), st.GetTerm(), after.GetEpoch(), after.GetTerm())
	}
	noSuspicion(t, r, mark)
	// The new ones do their work.
	leader := r.Named(st.GetLeader().GetName())
	f, err := r.Crash(within(t, stepBound), after)
	must(t, err)
	must(t, leader.Wait(within(t, stepBound)))
	must(t, r.explain(within(t, stepBound), &f))
	if f.New != st.GetHeir() || f.Evidence != "certified" {
		t.Errorf("%s took over by evidence %q; want %s by a certificate of the new monitor", f.New, f.Evidence, st.GetHeir())
	}
	awaitRing(t, r, stepBound)
}

// SIGUSR1: a fresh dial to the same neighbour, logged.
func TestDoorbellRedials(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	mark := r.Mark()
	n := r.Node(1)
	target := next(st, n.name)
	dialsAfresh(t, r, n, target)
	logged := len(n.LogTail(1 << 20))
	if out, errs, code := arc(t, "--addr", n.Addr(), "relink"); code != 0 || !strings.Contains(out, target) {
		t.Errorf("arc relink: code %d, %q %q; want %s", code, out, errs, target)
	}
	must(t, r.Until(within(t, stepBound), "a fresh dial by command", func(context.Context) error {
		return logs(n, logged, "monitor: relinked: from="+target+" to="+target)
	}))
	after := awaitRing(t, r, stepBound)
	if after.GetEpoch() != st.GetEpoch() {
		t.Errorf("the epoch went from %d to %d", st.GetEpoch(), after.GetEpoch())
	}
	noSuspicion(t, r, mark)
}

// dialsAfresh signals the node's monitor until it says that it dials its
// neighbour afresh.
func dialsAfresh(t *testing.T, r *Ring, n *Node, target string) {
	t.Helper()
	logged := len(n.LogTail(1 << 20))
	var signalled time.Time
	must(t, r.Until(within(t, stepBound), "a fresh dial by signal", func(context.Context) error {
		// One that comes with a link counts as that one's.
		if time.Since(signalled) > time.Second {
			if err := n.SignalMonitor(syscall.SIGUSR1); err != nil {
				return err
			}
			signalled = time.Now()
		}
		return logs(n, logged, "monitor: relinked: from="+target+" to="+target)
	}))
}

// logs reports whether the node said so after the first so many bytes.
func logs(n *Node, logged int, what string) error {
	if log := n.LogTail(1 << 20)[logged:]; !strings.Contains(log, what) {
		return fmt.Errorf("no %q in %q", what, log)
	}
	return nil
}

// A temporary link lasts until the next epoch.
func TestRelinkToTarget(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 4, Profile: calm})
	n := r.Named(st.GetMembers()[0].GetName())
	usual, other := st.GetMembers()[1].GetName(), st.GetMembers()[2].GetName()
	mark := r.Mark()
	if _, errs, code := arc(t, "--addr", n.Addr(), "relink", "--target", other); code != 0 {
		t.Fatalf("arc relink --target: code %d, %q", code, errs)
	}
	relinked := func(to string) func(observe.Event) bool {
		return func(ev observe.Event) bool {
			return ev.Type() == "relinked" && ev.GetNode() == n.name && ev.GetRelinked().GetTarget() == to
		}
	}
	awaitEvent(t, r, mark, "that "+n.name+" monitors "+other, relinked(other))
	mark = r.Mark()
	if _, errs, code := arc(t, "--addr", n.Addr(), "config", "set", "max_voters=5"); code != 0 { // a new epoch
		t.Fatalf("arc config set: code %d, %q", code, errs)
	}
	awaitEvent(t, r, mark, "that "+n.name+" monitors "+usual+" again", relinked(usual))
	if _, _, code := arc(t, "--addr", n.Addr(), "relink", "--target", "nobody"); code != 1 {
		t.Errorf("arc relink --target nobody: code %d, want 1", code)
	}
}

// An orphaned monitor certifies and ends.
func TestMonitorEndsWithItsCoordinator(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	n := bystander(t, r, st)
	must(t, n.Kill())
	must(t, r.Until(within(t, stepBound), "the monitor's end", func(context.Context) error {
		if left := pidsBelow(n.dir); len(left) > 0 {
			return fmt.Errorf("processes %v are left", left)
		}
		return nil
	}))
	if log := n.LogTail(1 << 20); !strings.Contains(log, "certified the death") {
		t.Errorf("no certificate in the log:\n%s", log)
	}
	awaitRing(t, r, stepBound)
}

// Power off: nobody certifies, the others find out all the same.
func TestPowerOffOfTheLeader(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	leader := r.Named(st.GetLeader().GetName())
	began := time.Now()
	mark := r.Mark()
	must(t, leader.PowerOff())
	ev := awaitEvent(t, r, mark, "that somebody claims", func(ev observe.Event) bool {
		return ev.Type() == "claim_gained" && ev.GetTerm() > st.GetTerm()
	})
	t.Logf("%s claims after %v", ev.GetNode(), ev.At.Sub(began).Round(time.Millisecond))
	if ev.GetNode() != st.GetHeir() {
		t.Errorf("%s leads, the heir was %s", ev.GetNode(), st.GetHeir())
	}
	awaitRing(t, r, stepBound)
}
