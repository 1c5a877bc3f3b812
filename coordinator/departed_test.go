package coordinator

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// Who was evicted is listed until somebody forgets it, which may be asked of any
// member. The leader tells how far everybody's log is, and all know the versions.
func TestFormerMembersAreListedAndForgotten(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	n1, n2 := nodes[0], nodes[1]
	ctx := n1.ctx()
	st := n1.awaitLeader("n1", 3)
	for _, m := range st.GetMembers() {
		if m.GetVersion() != n1.o.Version || m.GetProgress().GetIndex() == 0 {
			t.Errorf("the leader says of %s: version %q, progress %v", m.GetName(), m.GetVersion(), m.GetProgress())
		}
	}
	if st.GetCanLose() != 1 || st.GetLeaderSince() == nil || st.GetLeaderForMs() <= 0 {
		t.Errorf("it can lose %d, leads since %v for %v ms", st.GetCanLose(), st.GetLeaderSince(), st.GetLeaderForMs())
	}
	nodes[2].n.stopAs(errCrash)
	nodes[2].reap()
	if _, err := n2.client.Evict(ctx, &arcv1.EvictRequest{Name: "n3"}); err != nil && status.Code(err) != codes.NotFound {
		t.Fatal(err) // its own monitor may have been faster
	}
	departed := func(want int) []*arcv1.DepartedMember {
		t.Helper()
		poll := time.NewTicker(5 * time.Millisecond)
		defer poll.Stop()
		for deadline := time.Now().Add(15 * time.Second); ; <-poll.C {
			st, err := n2.client.Status(ctx, &arcv1.StatusRequest{})
			if err == nil && len(st.GetDeparted()) == want {
				return st.GetDeparted()
			}
			if time.Now().After(deadline) {
				t.Fatalf("departed %v, %v; want %d", st.GetDeparted(), err, want)
			}
		}
	}
	if d := departed(1)[0]; d.GetName() != "n3" || d.GetId() != 3 || d.GetHow() != "evicted" || d.GetAt() == nil || d.GetEvidence() == "" {
		t.Errorf("departed %v", d)
	}
	for name, code := range map[string]codes.Code{"n2": codes.FailedPrecondition, "n9": codes.NotFound} {
		if _, err := n2.client.Forget(ctx, &arcv1.ForgetRequest{Name: name}); status.Code(err) != code {
			t.Errorf("forget %s: %v, want %v", name, err, code)
		}
	}
	if r, err := n2.client.Forget(ctx, &arcv1.ForgetRequest{Name: "n3"}); err != nil || r.GetId() != 3 {
		t.Errorf("forget n3: %v, %v", r, err)
	}
	departed(0)
}
