package coordinator

import "testing"

// A server that ends removes its socket. That is no damage: nothing is made again,
// and nothing of the server is touched beside the one who closes it.
func TestAProcessThatEndsRepairsNothing(t *testing.T) {
	n := &node{} // without a run directory: a look at it would panic
	n.house.Lock()
	if repaired, err := n.repairRunDir(t.Context()); repaired || err != nil {
		t.Errorf("repairs: %v, %v", repaired, err)
	}
}
