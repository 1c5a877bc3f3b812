package election

// recorder takes down what a failover's figures in the history are made of: who
// claimed last, why the newest leadership ended, and when this member did what about
// it. Nothing is decided by what it knows.
type recorder struct {
	*roster
	campaign *campaign
	offers   *offers
	promises *promises

	// loss is what is known of the end of the newest leadership, led what was known when
	// this member was elected.
	loss, led loss
	breaks    breaks
	// measured is when the declaration said how long nobody had led.
	measured Instant
	// unanswered: this member's last claim, of ownTerm, ended since no majority answered.
	unanswered bool
	ownTerm    uint64
	// lastClaim is what this member has seen of it, toldClaim what votes told.
	lastClaim, toldClaim lastClaim
}

// lossElected takes down that this member was elected after the loss.
func (r *recorder) lossElected() {
	r.loss.elected = r.now
	r.led, r.loss = r.loss, loss{}
	r.breaks, r.measured = breaks{}, 0
}
