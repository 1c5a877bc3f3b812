package election

import (
	"testing"

	"github.com/arc-ring/arc/ring"
)

// Certificates of processes that nobody heard of fill no memory, and do not let
// the end of the recorded process be forgotten.
func TestEndedProcessesAreBounded(t *testing.T) {
	n := assemble(Config{}, &ring.State{Members: []ring.Member{{ID: 2, Name: "b", Incarnation: 7}, {ID: 3, Name: "c", Incarnation: 8}}}, 0)
	n.identity.retire(2, 7, false)
	n.identity.retire(3, 8, true)
	for i := range uint64(1000) {
		n.now++
		n.identity.retire(2, 1000+i, true)
	}
	if got := n.roster.peers.Get(2).ended.Len(); got > retiredKept {
		t.Errorf("%d ended processes are known, want at most %d", got, retiredKept)
	}
	if !n.identity.ended(2, 7) || !n.identity.ended(3, 8) || !n.identity.ended(2, 1999) {
		t.Error("the end of a recorded process, or the newest end, is forgotten")
	}
}
