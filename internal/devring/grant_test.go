package devring

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/observe"
)

// patientLease is so long that nothing in these tests can be mistaken for its
// end, with grants of 3 s: a leader that stands still for more than five
// quarters of a probe's interval may lose its grant, and rightly so.
const patientLease = 15 * time.Second

func granting(t *testing.T) (r *Ring, leader, its *Node) {
	t.Helper()
	r, st := whole(t, Options{Nodes: 5, Profile: calm, LogLevel: "debug"})
	leader = r.Named(st.GetLeader().GetName())
	its = r.Named(watcher(st, leader.name))
	if _, errs, code := arc(t, "--addr", leader.Addr(), "config", "set", "hang_after_ms=0", "lease_ms=15000",
		"leader_interval_ms=1000", "leader_misses=3", "leader_grants=true"); code != 0 {
		t.Fatalf("arc config set: code %d, %s", code, errs)
	}
	awaitGrant(t, r, leader, 0)
	return r, leader, its
}

// awaitGrant waits until the leader's renewals name a grant, as its log says
// after the first so many bytes.
func awaitGrant(t *testing.T, r *Ring, leader *Node, logged int) {
	t.Helper()
	must(t, r.Until(within(t, stepBound), "that "+leader.name+" relies on a grant", func(context.Context) error {
		log := leader.LogTail(1 << 20)
		last := strings.LastIndex(log, "renewals name grant")
		if last < logged || strings.Contains(log[last:], "renewals name grant 0 ") {
			return errNotYet
		}
		return nil
	}))
}

// A leader that falls silent is replaced as soon as its watcher testifies, long
// before the lease that the voters promised would end.
func TestTestimonyEndsTheLeaseEarly(t *testing.T) {
	for _, what := range []string{"coordinator", "machine"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r, leader, watcher := granting(t)
			before := awaitRing(t, r, stepBound)
			mark := r.Mark()
			began := time.Now()
			if what == "machine" {
				freeze(t, leader)
			} else {
				must(t, leader.Stop())
			}
			claim := awaitEvent(t, r, mark, "that somebody else claims", func(ev observe.Event) bool {
				return ev.Type() == "claim_gained" && ev.GetTerm() > before.GetTerm()
			})
			if took := claim.At.Sub(began); took > patientLease*3/4 {
				t.Errorf("%s claims %v after the silence began: that is the lease's end, not the grant's", claim.GetNode(), took)
			} else {
				t.Logf("%s claims after %v, the lease is %v", claim.GetNode(), took.Round(time.Millisecond), patientLease)
			}
			n := r.Named(claim.GetNode())
			if n.name != before.GetHeir() {
				t.Errorf("%s leads, the heir was %s", n.name, before.GetHeir())
			}
			c, err := n.Client()
			must(t, err)
			h, err := c.History(within(t, stepBound), 1)
			must(t, err)
			e := h.GetEntries()[0]
			if e.GetEvidence() != "silent" || e.GetSeenBy() != watcher.name || e.GetAfter() != leader.name {
				t.Errorf("the history says %q, seen by %q, after %q; want silent, seen by %q, after %q",
					e.GetEvidence(), e.GetSeenBy(), e.GetAfter(), watcher.name, leader.name)
			}
			testified := 0
			for _, o := range r.Nodes() {
				if o != leader && strings.Contains(o.LogTail(1<<20), fmt.Sprintf("released from the promise to %d: its watcher", before.GetLeader().GetId())) {
					testified++
				}
			}
			if testified < 3 {
				t.Errorf("%d voters were released by the watcher's testimony, want a majority", testified)
			}
			if what == "machine" {
				thaw(t, leader)
			} else {
				must(t, leader.Cont())
			}
			awaitRing(t, r, stepBound)
		})
	}
}

// The leader's claim does not hang on one watcher: another grant, or none, is
// named before the first one ends.
func TestTheClaimOutlivesItsWatcher(t *testing.T) {
	t.Parallel()
	r, leader, watcher := granting(t)
	before := awaitRing(t, r, stepBound)
	mark := r.Mark()
	logged := len(leader.LogTail(1 << 20))
	must(t, watcher.KillMonitor())
	awaitGrant(t, r, leader, logged) // of the monitor that was started instead
	after := awaitRing(t, r, stepBound)
	if after.GetTerm() != before.GetTerm() {
		t.Errorf("token %d, then %d", before.GetTerm(), after.GetTerm())
	}
	for _, ev := range r.Since(mark) {
		if ev.Type() == "claim_lost" {
			t.Errorf("the claim was lost: %v", ev.Event)
		}
	}
}
