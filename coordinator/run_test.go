package coordinator

import (
	"testing"
	"time"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// found starts a ring of the named nodes; the first founds it.
func startRing(t *testing.T, names ...string) []*testNode {
	t.Helper()
	var nodes []*testNode
	for i, name := range names {
		o := testOptions(t, name)
		if i == 0 {
			o.Bootstrap = true
		} else {
			o.Join = []string{nodes[0].address()}
		}
		nodes = append(nodes, start(t, o))
		nodes[0].awaitLeader(names[0], i+1)
	}
	for _, n := range nodes {
		n.awaitLeader(names[0], len(names))
	}
	return nodes
}

func TestThreeElectFailOverAndTakeBack(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	nodes[0].await("three voters", func(st *arcv1.StatusResponse) bool {
		voters := 0
		for _, m := range st.GetMembers() {
			if m.GetVoter() {
				voters++
			}
		}
		return voters == 3 && st.GetClaiming()
	})
	before := nodes[0].status()
	began := time.Now()
	nodes[0].crash()
	st := nodes[1].awaitLeader("n2", 2)
	t.Logf("n2 leads %v after the crash", time.Since(began))
	if st.GetTerm() <= before.GetTerm() {
		t.Errorf("token %d after %d, want a higher one", st.GetTerm(), before.GetTerm())
	}
	nodes[2].awaitLeader("n2", 2)
}
