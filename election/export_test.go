package election

// Unsettled is ClaimUntil and LeaderUntil, worked out from the whole state.
func (n *Node) Unsettled() (term uint64, claim, leader Instant) {
	term, claim = n.leadership.claimUntil()
	return term, claim, n.following.leaderUntil()
}
