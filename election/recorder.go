package election

// recorder takes down what a failover's figures in the history are made of: who
// claimed last, why the newest leadership ended, and when this member did what about
// it. It observes facts. Nothing is decided by what it knows.
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

// fact is something that a part did and that the recorder may want to know.
type fact interface{ fact() }

type (
	// promised: this member promised to the leader of a term, which may claim by that
	// promise until it ends. claims says that it claimed already, at shown or later.
	promised struct {
		term         uint64
		until, shown Instant
		claims       bool
	}
	// voided: the promise to the leader of a term is void from now on. ended says that
	// the leader is known to have led until now.
	voided struct {
		term  uint64
		ended bool
	}
	// leaderMissed: this member finds that the newest leadership is lost.
	leaderMissed struct{}
	// promiseEnded: this member may help somebody to lead.
	promiseEnded struct{}
	// campaigned: this member asks for votes.
	campaigned struct{}
	// wentOnAlone: the survivor of a pair goes on without the other one.
	wentOnAlone struct{ without uint64 }
	// cleared: what somebody had against a member was wrong, or is not repeated.
	cleared struct{ id, by uint64 }
)

func (promised) fact() {}

func (voided) fact() {}

func (leaderMissed) fact() {}

func (promiseEnded) fact() {}

func (campaigned) fact() {}

func (wentOnAlone) fact() {}

func (cleared) fact() {}

// record takes down a fact.
func (r *recorder) record(f fact) {
	switch f := f.(type) {
	case promised:
		r.claimPromised(f.term, f.until, f.shown, f.claims)
	case voided:
		r.claimVoided(f.term, f.ended)
	case leaderMissed:
		r.lossNoticed()
	case promiseEnded:
		r.lossFreed()
	case campaigned:
		r.lossCampaign()
	case wentOnAlone:
		r.claimPossibleWith(f.without)
	case cleared:
		r.lossUnexplained(f.id, f.by)
	}
}

// lossElected takes down that this member was elected after the loss.
func (r *recorder) lossElected() {
	r.loss.elected = r.now
	r.led, r.loss = r.loss, loss{}
	r.breaks, r.measured = breaks{}, 0
}
