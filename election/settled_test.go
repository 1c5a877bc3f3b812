package election_test

import "fmt"

// checkSettled panics if what is kept from a step is not what the state says.
func (nd *node) checkSettled() {
	term, claim := nd.n.ClaimUntil()
	leader := nd.n.LeaderUntil()
	if t, c, l := nd.n.Unsettled(); t != term || c != claim || l != leader {
		panic(fmt.Sprintf("%s keeps token %d until %v, leader until %v; the state says %d until %v, %v", nd.name, term, claim, leader, t, c, l))
	}
}
