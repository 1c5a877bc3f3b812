package devring

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/observe"
	"github.com/arc-ring/arc/internal/testwait"
)

const sigKill = syscall.SIGKILL

// freeze stops coordinator and monitor of each node, which is what a paused
// virtual machine looks like.
func freeze(t *testing.T, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		must(t, n.SignalMonitor(syscall.SIGSTOP))
		must(t, n.Stop())
	}
}

func thaw(t *testing.T, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		must(t, n.Cont())
		must(t, n.SignalMonitor(syscall.SIGCONT))
	}
}

// A leader that hangs is replaced; when it goes on it claims nothing, learns
// that it was evicted, and joins again.
func TestHungLeaderIsReplacedAndRejoins(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"coordinator", "machine"} {
		t.Run(what, func(t *testing.T) {
			r, st := whole(t, Options{Nodes: 3, Profile: calm})
			old := r.Named(st.GetLeader().GetName())
			id := member(st, old.name).GetId()
			mark := r.Mark()
			began := time.Now()
			if what == "machine" {
				freeze(t, old)
			} else {
				must(t, old.Stop())
			}
			ev := awaitEvent(t, r, mark, "that somebody else claims", func(ev observe.Event) bool {
				return ev.Type() == "claim_gained" && ev.By != old.name
			})
			t.Logf("%s claims after %v", ev.GetNode(), ev.At.Sub(began).Round(time.Millisecond))
			if ev.GetNode() != st.GetHeir() {
				t.Errorf("%s leads, the heir was %s", ev.GetNode(), st.GetHeir())
			}
			after := awaitRing(t, r, stepBound)
			if after.GetTerm() <= st.GetTerm() {
				t.Errorf("token %d after %d", after.GetTerm(), st.GetTerm())
			}

			mark = r.Mark()
			if what == "machine" {
				thaw(t, old)
			} else {
				must(t, old.Cont())
			}
			back := awaitRing(t, r, stepBound)
			if got := member(back, old.name).GetId(); got <= id {
				t.Errorf("%s is back under id %d, it had %d", old.name, got, id)
			}
			if back.GetTerm() != after.GetTerm() {
				t.Errorf("the leadership changed when %s came back: token %d, then %d", old.name, after.GetTerm(), back.GetTerm())
			}
			if back.GetHeir() != old.name {
				t.Errorf("heir is %s, want the former leader %s", back.GetHeir(), old.name)
			}
			for _, ev := range r.Since(mark) {
				if ev.By == old.name && ev.Type() == "claim_gained" {
					t.Errorf("%s claimed after it went on: %v", old.name, ev.Event)
				}
			}
		})
	}
}

// A coordinator that hangs for hang_after is killed by its own monitor.
func TestHungCoordinatorIsKilledByItsMonitor(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 3, Profile: "fast"})
	n := bystander(t, r, st)
	if n.Stopped() || n.Ended() != "" {
		t.Errorf("it runs: stopped %v, ended %q", n.Stopped(), n.Ended())
	}
	must(t, n.Stop())
	testwait.Until(t, stepBound, "it is stopped", n.Stopped)
	if err := n.Wait(within(t, stepBound)); err != nil {
		t.Fatalf("its monitor does not kill it (hang_after_ms is %d): %v", st.GetSettings().GetHangAfterMs(), err)
	}
	if got := n.Ended(); got != "signal: killed" || n.Stopped() {
		t.Errorf("it was killed: stopped %v, ended %q", n.Stopped(), got)
	}
	awaitRing(t, r, stepBound)
}

// Less than a majority never has a leader for longer than a lease, and goes on
// when the others do.
func TestMinorityHasNoLeader(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 5})
	leader := r.Named(st.GetLeader().GetName())
	var others []*Node
	for _, n := range r.Nodes() {
		if n != leader && len(others) < 3 {
			others = append(others, n)
		}
	}
	mark := r.Mark()
	freeze(t, others...)
	lost := awaitEvent(t, r, mark, "that the leader loses its claim", func(ev observe.Event) bool {
		return ev.Type() == "claim_lost" && ev.By == leader.name
	})
	testwait.Real(2*time.Duration(st.GetSettings().GetLeaseMs())*time.Millisecond, "in which one of those who are left would claim")
	for _, n := range r.Running() {
		s, err := n.Status(within(t, stepBound))
		must(t, err)
		if s.GetClaiming() {
			t.Errorf("%s claims with 2 of 5", n.name)
		}
	}
	t.Logf("claim lost: %s", lost.GetClaimLost().GetWhy())
	thaw(t, others...)
	after := awaitRing(t, r, stepBound)
	if after.GetTerm() < st.GetTerm() {
		t.Errorf("token %d after %d", after.GetTerm(), st.GetTerm())
	}
}

// A program that waits for a change when the log cannot be written is told so, and
// by nobody that the coordinator does not answer.
func TestAFailedLogIsAnswered(t *testing.T) {
	t.Parallel()
	r, st := whole(t, Options{Nodes: 1})
	n := r.Named(st.GetLeader().GetName())
	// The mark of the log's end is the last that is written before it rests.
	mark := func() []byte {
		b, _ := os.ReadFile(filepath.Join(n.DataDir(), "end")) // it comes with the first rest
		return b
	}
	testwait.Until(t, stepBound, "the first mark", func() bool { return len(mark()) > 0 })
	before := mark()
	if _, errs, code := arc(t, "--addr", n.Addr(), "config", "set", "lease_ms=550"); code != 0 {
		t.Fatalf("with a log that can be written: code %d, %q", code, errs)
	}
	testwait.Until(t, stepBound, "the mark after the change", func() bool { return !bytes.Equal(mark(), before) })
	must(t, unix.Prlimit(n.PID(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1, Max: unix.RLIM_INFINITY}, nil))
	_, errs, code := arc(t, "--addr", n.Addr(), "config", "set", "lease_ms=600")
	if code != 1 || !strings.HasPrefix(errs, "arc: config set: the log cannot be written: ") || !strings.Contains(errs, "may or may not take effect") {
		t.Errorf("code %d, %q; want 1 and what failed", code, errs)
	}
	must(t, n.Wait(within(t, stepBound)))
}
