package devring

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/observe"
)

// certifiedEnd is what the certificate of the node's end said.
func certifiedEnd(t *testing.T, r *Ring, mark int, n *Node) (exit string, clean bool) {
	t.Helper()
	ev := awaitEvent(t, r, mark, "a certificate of "+n.name, func(ev observe.Event) bool {
		return ev.Type() == "certified" && ev.GetNode() == n.name
	})
	return ev.GetCertified().GetExit(), ev.GetCertified().GetClean()
}

func TestNobodyKnowsWhyAKilledCoordinatorEnded(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	leader, mark := r.Named(st.GetLeader().GetName()), r.Mark()
	must(t, leader.Kill())
	if exit, clean := certifiedEnd(t, r, mark, leader); exit != "gone; its monitor does not know why" || clean {
		t.Errorf("after kill -9 the certificate says %q, clean %v", exit, clean)
	}
	awaitRing(t, r, stepBound)
}

// timeout(1) sends SIGTERM to its child and to its process group, which is the
// child's too: that is one wish to end, and the ring is left in order.
func TestSIGTERMTwiceAtOnceIsOne(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: calm})
	timeout, err := exec.LookPath("timeout")
	if err != nil {
		t.Fatalf("coreutils' timeout is needed: %v", err)
	}
	by := map[string]func(n *Node){
		"its own group": func(n *Node) {
			pid := n.PID()
			must(t, syscall.Kill(pid, syscall.SIGTERM))
			must(t, syscall.Kill(-pid, syscall.SIGTERM))
			must(t, n.Wait(within(t, stepBound)))
			if code := n.ExitCode(); code != 0 {
				t.Errorf("SIGTERM to the process and to its group: exit code %d, want 0", code)
			}
		},
		"timeout(1)": func(n *Node) {
			must(t, n.Terminate(within(t, stepBound)))
			awaitRing(t, r, stepBound)
			cmd := exec.Command(timeout, append([]string{"--verbose", "--signal=TERM", "3", filepath.Clean(r.opts.Arc)}, n.Args()...)...)
			cmd.Env, cmd.Dir = cleanEnv(), n.dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			began := time.Now()
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != 124 {
				t.Errorf("timeout exits %d (%v) after %v: its child did not end in order\n%s", code, err, time.Since(began), out)
			}
		},
	}
	for name, end := range by {
		mark := r.Mark()
		n := bystander(t, r, st)
		end(n)
		awaitRing(t, r, stepBound)
		for _, ev := range r.Since(mark) {
			if ev.Type() == "certified" || ev.Type() == "evicted" {
				t.Errorf("by %s: %s says %s %s %v, want an end in order", name, ev.By, ev.Type(), ev.GetNode(), ev.GetDetail())
			}
		}
		must(t, n.Start())
		st = awaitRing(t, r, stepBound)
	}
}

// A monitor that was sent elsewhere goes back by itself, and then sees that its
// own neighbour is gone.
func TestATemporaryLinkLeavesNobodyUnwatchedForGood(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 4, Profile: calm})
	n := bystander(t, r, st)
	var other string
	for _, m := range st.GetMembers() {
		if m.GetName() != n.name && m.GetName() != next(st, n.name) {
			other = m.GetName()
		}
	}
	mark := r.Mark()
	if out, errs, code := arc(t, "--addr", n.Addr(), "relink", "--target", other, "--for", "2s"); code != 0 || out == "" {
		t.Fatalf("arc relink: code %d, %q %q", code, out, errs)
	}
	now, err := n.Status(within(t, stepBound))
	must(t, err)
	if l := now.GetTemporaryLink(); l.GetTarget() != other || l.GetLeftMs() <= 0 || l.GetLeftMs() > 2000 {
		t.Errorf("status says %v, want a link to %s for at most 2 s", l, other)
	}
	ev := awaitEvent(t, r, mark, "the monitor of "+n.name+" is back", func(ev observe.Event) bool {
		l := ev.GetRelinked()
		return ev.By == n.name && l != nil && !l.GetTemporary() && l.GetFrom() == other
	})
	if to := ev.GetRelinked().GetTarget(); to != next(st, n.name) {
		t.Errorf("back at %s, want %s", to, next(st, n.name))
	}
	if now, err = n.Status(within(t, stepBound)); err != nil || now.GetTemporaryLink() != nil {
		t.Errorf("status says %v (%v), want no temporary link", now.GetTemporaryLink(), err)
	}
	must(t, r.Named(next(st, n.name)).PowerOff())
	awaitRing(t, r, stepBound)
}
