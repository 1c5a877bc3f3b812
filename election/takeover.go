package election

import (
	"fmt"
	"slices"
	"time"

	"github.com/arc-ring/arc/ring"
)

// A leader that gives its term away to a member that cannot win leaves the
// ring without a leader. So a caretaker, and the leader in a planned handover,
// first asks the member whether it could lead now. The member asks the voters
// for a sign of life. When a majority has answered and its own disk is not
// stuck, it answers that it is able. This is asked before the claim is given
// up, so a handover's gap is no longer for it.

// Takeover asks a member whether it could lead now, or answers that.
type Takeover struct {
	// Term is raft's term in which the asker leads.
	Term   uint64
	Answer bool
	// Able: a majority of the voters has answered the member since it was asked.
	Able bool
	// Reached is how many voters the member reaches, itself and the asker
	// among them; Stuck that its disk does not finish a write.
	Reached int
	Stuck   bool
	// Lapsed: it led a moment ago and could not keep a lease.
	Lapsed bool
}

// offer is what a member was asked last.
type offer struct {
	from, term uint64
	since      Instant // when it began to look
	at         Instant // of the newest question
	open       bool    // not yet answered that it is able
	ableAt     Instant // when it first answered that asker in that term that it is able; 0 if it did not
}

// takeover is what the asker knows of a member's answers.
type takeover struct {
	of      uint64
	began   Instant
	nextAsk Instant
	able    bool
	ableAt  Instant
	// answer is the newest that was not able, answerAt when the first one came.
	answer   *Takeover
	answerAt Instant
}

// offerLasts is how long an offer is taken for the same one.
func (n *Node) offerLasts() time.Duration { return n.ring.Settings.Lease() }

// takeoverOffered begins to find out whether this member could lead.
func (n *Node) takeoverOffered(from uint64, t Takeover) {
	if t.Term != n.term || n.raftLead != from || n.lead != nil {
		return
	}
	if o := n.offer; o.from != from || o.term != t.Term || n.now >= o.at.Add(n.offerLasts()) {
		n.offer = offer{from: from, term: t.Term, since: n.now}
		if o.from == from && o.term == t.Term {
			n.offer.ableAt = o.ableAt
		}
	}
	n.offer.at, n.offer.open = n.now, true
	for _, id := range n.otherVoters() {
		if n.peers.Value(id).heard.at <= n.offer.since && id != from {
			n.check(id)
		}
	}
	if !n.offerRule() {
		n.send(Message{To: from, Takeover: n.takeoverAnswer()})
	}
}

// offerRule answers an offer once this member is able. It reports whether the
// offer is answered.
func (n *Node) offerRule() bool {
	if !n.offer.open {
		return true
	}
	a := n.takeoverAnswer()
	if !a.Able {
		return false
	}
	n.offer.open = false
	if n.offer.ableAt == 0 { // the word to take over may be older than a question that was read late
		n.offer.ableAt = n.now
	}
	n.send(Message{To: n.offer.from, Takeover: a})
	return true
}

// takeoverAnswer is what this member can say of its ability now.
func (n *Node) takeoverAnswer() *Takeover {
	o := n.offer
	enough := func(voters []uint64) bool { return n.reached(voters) > len(voters)/2 }
	out := n.conf.GetVotersOutgoing()
	others := slices.ContainsFunc(n.ring.Succession(n.cfg.ID), n.thoughtAlive)
	a := &Takeover{Term: o.term, Answer: true, Reached: n.reached(n.conf.GetVoters()), Stuck: n.stuck(), Lapsed: others && n.lapsedLately()}
	a.Able = !a.Stuck && !a.Lapsed && enough(n.conf.GetVoters()) && (len(out) == 0 || enough(out))
	return a
}

// reached counts the voters that were heard since the offer came, this member
// and the asker among them.
func (n *Node) reached(voters []uint64) int {
	k := n.heardSince(voters, n.offer.since)
	if slices.Contains(voters, n.offer.from) && n.peers.Value(n.offer.from).heard.at <= n.offer.since {
		k++
	}
	return k
}

// stuck reports whether this member's disk takes so long for a write that
// somebody else should lead.
func (n *Node) stuck() bool {
	return n.writing() && n.now >= n.stuckAt()
}

// stuckAt is when the write under way takes that long.
func (n *Node) stuckAt() Instant { return n.writes[0].began.Add(n.ring.Settings.RenewEvery()) }

// takeoverAnswered takes a member's answer.
func (n *Node) takeoverAnswered(from uint64, t Takeover) {
	if n.lead == nil || t.Term != n.term {
		return
	}
	if t.Able {
		n.handsOnTo(from)
	}
	if n.lead.takeover.of != from {
		return
	}
	if t.Able {
		n.lead.takeover.able, n.lead.takeover.ableAt = true, n.now
		return
	}
	if n.lead.takeover.answer == nil {
		n.lead.takeover.answerAt = n.now
	}
	n.lead.takeover.answer = &t
}

// askTakeover asks a member until it is able. It reports whether it is.
func (n *Node) askTakeover(id uint64) bool {
	t := &n.lead.takeover
	if t.of != id || t.able && n.now >= t.ableAt.Add(n.offerLasts()) {
		*t = takeover{of: id, began: n.now, nextAsk: n.now}
	}
	if t.able {
		return true
	}
	if n.now >= t.nextAsk {
		t.nextAsk = n.now.Add(n.ring.Settings.Stagger())
		n.send(Message{To: id, Takeover: &Takeover{Term: n.term}})
	}
	n.wakeAt(t.nextAsk)
	return false
}

// passedOverAt is when the caretaker goes on without an heir for whom it began
// to wait at since: as late as for a dead one. An heir that says that it is not
// able gets half of that from then on. It has asked the voters, and has had no
// answers for so long.
func (n *Node) passedOverAt(since Instant) Instant {
	end := since.Add(n.probeTimeout())
	if t := n.lead.takeover; !t.able && t.answer != nil {
		end = min(end, t.answerAt.Add(n.probeTimeout()/2))
	}
	return end
}

// declines reports whether the member could lead, but leaves that to others since it
// could not keep a lease a moment ago.
func (t *takeover) declines(voters int) bool {
	a := t.answer
	return a != nil && a.Lapsed && !a.Stuck && a.Reached > voters/2
}

// unableBecause says why a member does not lead, for the history and for the
// operator.
func (n *Node) unableBecause(m ring.Member) string {
	t := n.lead.takeover
	switch a := t.answer; {
	case t.of != m.ID:
		return "did not take over"
	case t.able:
		return "was able to lead, but did not take over in time"
	case a == nil:
		return "does not answer when it is asked to lead"
	case a.Lapsed:
		return "cannot lead: it could not keep its lease"
	case a.Stuck:
		return "cannot lead: its disk does not finish a write"
	default:
		return fmt.Sprintf("cannot lead: it reaches %d of %d voters", a.Reached, len(n.conf.GetVoters()))
	}
}
