package election

import (
	"fmt"
	"time"
)

// rule is one thing that a Node looks after when anything has changed: it does what
// follows from the present state at the present time, and asks to be woken when time
// alone makes more follow. It is level-triggered: run again, it does nothing more.
type rule struct {
	name string
	// when says whether it is run now; nil if always.
	when func(*Node) bool
	run  func(*Node)
}

// rules are run in this order after each input, until none of them has more for raft
// to do. A rule relies on those before it. Those of raft's leader are run for as long as
// the leadership lasts.
var rules = []rule{
	// The declaration goes with the winner's first append.
	{"declare at once", justElected, func(n *Node) { n.leader.declareRule() }},
	{"raft", nil, func(n *Node) { n.applier.ready() }},
	{"held votes", nil, (*Node).heldVotesRule},
	{"lead", nil, func(n *Node) { n.led = n.leads() }},

	{"go on alone", whileLeading, func(n *Node) { n.campaign.twoLeft() }},
	{"heartbeats", whileLeading, func(n *Node) { n.leader.heartbeatRule() }},
	{"hand on", whileLeading, func(n *Node) { n.leader.caretaker.handOnRule() }},
	{"declare", whileUndeclared, func(n *Node) { n.leader.declareRule() }},
	{"owed answers", whileDeclared, func(n *Node) { n.leader.watch.owedRule() }},
	{"evict", whileDeclared, func(n *Node) { n.leader.evictRule() }},
	{"handover", whileDeclared, func(n *Node) { n.leader.requests.handoverRule() }},
	{"members that stop", whileDeclared, func(n *Node) { n.leader.requests.stopRule() }},
	{"tell figures", whileDeclared, func(n *Node) { n.leader.figuresRule() }},
	{"tell interruptions", whileDeclared, func(n *Node) { n.leader.interruptionRule() }},
	{"forget former members", whileDeclared, func(n *Node) { n.leader.requests.forgetRule() }},
	{"require a log version", whileDeclared, func(n *Node) { n.leader.requests.requireRule() }},
	{"renew", whileLeading, func(n *Node) { n.leader.renewRule() }},
	{"postponed appends", whileLeading, func(n *Node) { n.leader.sendPostponed() }},
	{"configuration", whileLeading, func(n *Node) { n.leader.reconcile() }},
	{"requests that wait for raft", whileLeading, func(n *Node) { n.leader.requests.completeRequests() }},
	{"applicants", whileLeading, func(n *Node) { n.leader.requests.applicantRule() }},

	// A member that has just lost its leadership looks again later.
	{"campaign", func(n *Node) bool { return !n.led }, func(n *Node) { n.campaign.campaignRule() }},
	{"suspicions", nil, func(n *Node) { n.verdicts.suspicionRule() }},
	{"offer", nil, func(n *Node) { n.offers.offerRule() }},
	{"handed over", nil, func(n *Node) { n.leadership.handedOverRule() }},
	{"proof of the leader", nil, func(n *Node) { n.following.proofRule() }},
	{"leave", nil, func(n *Node) { n.membership.leaveRule() }},
	{"successor unwatched", nil, func(n *Node) { n.leader.watch.unwatchedRule() }},
	{"announce", nil, func(n *Node) { n.identity.announceRule() }},
	{"inquiry", nil, func(n *Node) { n.membership.inquiryRule() }},
	{"claim", nil, func(n *Node) { n.leadership.updateClaim() }},
	{"relink", nil, func(n *Node) { n.links.relink() }},
}

func whileLeading(n *Node) bool { return n.leadership.lead != nil }

func whileDeclared(n *Node) bool { return whileLeading(n) && n.declared() }

// whileUndeclared: it neither has declared itself nor hands on.
func whileUndeclared(n *Node) bool { return whileLeading(n) && !n.declared() && !n.heldUp() }

func justElected(n *Node) bool {
	return whileLeading(n) && !n.declared() && n.leadership.lead.since == n.now
}

// maxPasses bounds how often the rules follow one another in one step.
const maxPasses = 100

// settle runs the rules until nothing more follows from the present state at the
// present time, and works out when to look again.
func (n *Node) settle() {
	for range maxPasses {
		n.wake = Never
		for _, r := range rules {
			if n.removed {
				n.wake = Never
				return
			}
			if r.when == nil || r.when(n) {
				n.running = r.name
				r.run(n)
			}
		}
		if n.removed {
			continue
		}
		if !n.canTake() {
			return
		}
	}
	n.fail("the state does not settle: %s", n.status.reason(n.now, n.status.tolerance(n.now).needs(), n.Missing(n.now)))
}

// wakeAt asks for a Tick at t.
func (b *base) wakeAt(t Instant) { b.wake = min(b.wake, t) }

// before reports whether t is still to come. If so, it asks for a Tick then.
func (b *base) before(t Instant) bool {
	if b.now >= t {
		return false
	}
	b.wakeAt(t)
	return true
}

// dueEvery reports whether what is done every so often, next at next, is due. If so, it
// moves next on. It asks for a Tick at next.
func (b *base) dueEvery(next *Instant, every time.Duration) bool {
	due := b.now >= *next
	if due {
		*next = b.now.Add(every)
	}
	b.wakeAt(*next)
	return due
}

// fail ends the process: what cannot be has happened. It names the rule.
func (b *base) fail(format string, args ...any) {
	panic(fmt.Sprintf("election: rule %q: ", b.running) + fmt.Sprintf(format, args...))
}
