package coordinator

import (
	"testing"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// A follower says what it knows of the logs, and what the leader knows if it is
// to ask. A member that knows of no leader knows nothing.
func TestWhoKnowsHowFarTheLogsAre(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	nodes[0].awaitLeader("n1", 3)
	n2 := nodes[1]
	n2.awaitLeader("n1", 3)
	known := func(st *arcv1.StatusResponse) (names []string) {
		for _, m := range st.GetMembers() {
			if m.GetProgress().GetIndex() > 0 {
				names = append(names, m.GetName())
			}
		}
		return names
	}
	for ask, want := range map[bool]int{false: 1, true: 3} {
		st, err := n2.client.Status(n2.ctx(), &arcv1.StatusRequest{AskLeader: ask})
		if err != nil || len(known(st)) != want {
			t.Errorf("asks the leader: %v: n2 knows the progress of %v, %v; want %d of them", ask, known(st), err, want)
		}
	}
	nodes[0].crash()
	nodes[2].crash()
	n2.await("no leader", func(st *arcv1.StatusResponse) bool { return st.GetLeader() == nil })
	st, err := n2.client.Status(n2.ctx(), &arcv1.StatusRequest{AskLeader: true})
	if err != nil || len(st.GetMembers()) == 0 || len(known(st)) != 0 {
		t.Errorf("without a leader n2 of %d members knows the progress of %v, %v; want none", len(st.GetMembers()), known(st), err)
	}
}
