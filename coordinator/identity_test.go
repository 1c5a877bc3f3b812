package coordinator

import (
	"slices"
	"testing"

	"github.com/arc-ring/arc/coordinator/internal/publish"
)

// A peer that does not know this node yet finds it by its hello.
func TestIdentityTellsTheAddresses(t *testing.T) {
	o := testOptions(t, "n1")
	o.Bootstrap = true
	n := start(t, o)
	n.awaitLeader("n1", 1)
	if id := n.n.self(); id.ID == 0 || len(id.Addresses) == 0 || !slices.Equal(id.Addresses, n.n.reachedAt()) {
		t.Errorf("member %d says that it is reached at %v, want %v", id.ID, id.Addresses, n.n.reachedAt())
	}
	n.n.outside(publish.Joining, "r")
	if id := n.n.self(); id.ID != 0 || !slices.Equal(id.Addresses, n.n.reachedAt()) {
		t.Errorf("outside, member %d says that it is reached at %v, want %v", id.ID, id.Addresses, n.n.reachedAt())
	}
}
