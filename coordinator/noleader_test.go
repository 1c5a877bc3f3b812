package coordinator

import (
	"context"
	"testing"
	"time"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// A node without proof that somebody leads says so to whatever is asked of it that
// needs a leader, also one that led itself.
func TestWhatNeedsALeaderIsRefusedWithoutProof(t *testing.T) {
	for name, left := range map[string]int{"the former leader": 0, "a follower": 1} {
		t.Run(name, func(t *testing.T) {
			nodes := startRing(t, "n1", "n2", "n3")
			n := nodes[left]
			n.awaitLeader("n1", 3)
			for i, o := range nodes {
				if i != left {
					o.crash()
				}
			}
			n.await("no leader", func(st *arcv1.StatusResponse) bool { return st.GetLeader() == nil && !st.GetClaiming() })
			for what, call := range map[string]func(ctx context.Context) error{
				"handover": func(ctx context.Context) error {
					_, err := n.client.Handover(ctx, &arcv1.HandoverRequest{})
					return err
				},
				"evict": func(ctx context.Context) error {
					_, err := n.client.Evict(ctx, &arcv1.EvictRequest{Name: "n3"})
					return err
				},
				"forget": func(ctx context.Context) error {
					_, err := n.client.Forget(ctx, &arcv1.ForgetRequest{Name: "n9"})
					return err
				},
				"leave": func(ctx context.Context) error {
					ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
					defer cancel()
					_, err := n.client.Leave(ctx, &arcv1.LeaveRequest{})
					return err
				},
				"config set": func(ctx context.Context) error {
					_, err := n.client.SetSettings(ctx, &arcv1.SetSettingsRequest{Changes: map[string]string{"misses": "7"}})
					return err
				},
			} {
				if err := call(n.ctx()); reasonOf(err) != "NO_LEADER" {
					t.Errorf("%s: %v, want NO_LEADER", what, err)
				}
			}
		})
	}
}
