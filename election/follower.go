package election

// follower is what a leader knows of one other member. It begins empty with the
// leadership and ends with it.
type follower struct {
	// heartbeat: it is a learner that gets one at this tick.
	heartbeat bool
	// sent is when the oldest unanswered heartbeat went to a learner, settled when
	// one was sent that it answered.
	sent, settled Instant

	// snapshot is when one was last sent to it.
	snapshot Instant
	// nextProbe is when the caretaker probes this heir again, 0 if it did not yet;
	// noAnswer is the probe that failed, with incarnation 0 if none did.
	nextProbe Instant
	noAnswer  unanswered
}
