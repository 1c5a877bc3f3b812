package election

import "fmt"

// rule is one thing that a Node looks after when anything has changed: it does what
// follows from the present state at the present time, and asks to be woken when time
// alone makes more follow. It is level-triggered: run again, it does nothing more.
type rule struct {
	name string
	run  func(*Node)
}

// rules are run in this order after each input, until none of them has more for raft
// to do. A rule relies on those before it.
var rules = []rule{
	// The declaration goes with the winner's first append.
	{"declare at once", (*Node).declareAtOnce},
	{"raft", func(n *Node) { n.applier.ready() }},
	{"held votes", (*Node).heldVotesRule},
	{"lead", func(n *Node) {
		if n.led = n.leads(); n.led {
			n.leader.rule()
		}
	}},
	{"campaign", func(n *Node) {
		if !n.led { // who has just lost its leadership looks again later
			n.campaign.rule()
		}
	}},
	{"suspicions", func(n *Node) { n.verdicts.rule() }},
	{"offer", func(n *Node) { n.offers.rule() }},
	{"handed over", func(n *Node) { n.leadership.handedOverRule() }},
	{"proof of the leader", func(n *Node) { n.following.rule() }},
	{"leave", func(n *Node) { n.membership.leaveRule() }},
	{"successor unwatched", func(n *Node) { n.leader.watch.unwatchedRule() }},
	{"announce", func(n *Node) { n.identity.announceRule() }},
	{"inquiry", func(n *Node) { n.membership.inquiryRule() }},
	{"claim", func(n *Node) { n.leadership.updateClaim() }},
	{"relink", func(n *Node) { n.links.relink() }},
}

// leaderRule is a rule of raft's leader.
type leaderRule struct {
	name string
	when leaderStage
	run  func(*leader)
}

// leaderStage says in which stages of a leadership a rule is run.
type leaderStage int

const (
	always leaderStage = iota
	undeclared
	declared
	handingOn // its own disk is stuck, and it is not declared
)

// leaderRules are run in this order while the leadership lasts.
var leaderRules = []leaderRule{
	{"go on alone", always, func(ld *leader) { ld.campaign.twoLeft() }},
	{"heartbeats", always, (*leader).heartbeatRule},
	{"hand on", always, func(ld *leader) { ld.stage = ld.stageNow() }},
	{"declare", undeclared, (*leader).declareRule},
	{"owed answers", declared, func(ld *leader) { ld.watch.owedRule() }},
	{"evict", declared, (*leader).evictRule},
	{"handover", declared, func(ld *leader) { ld.requests.handoverRule() }},
	{"members that stop", declared, func(ld *leader) { ld.requests.stopRule() }},
	{"tell figures", declared, (*leader).figuresRule},
	{"tell interruptions", declared, (*leader).interruptionRule},
	{"forget former members", declared, func(ld *leader) { ld.requests.forgetRule() }},
	{"require a log version", declared, func(ld *leader) { ld.requests.requireRule() }},
	{"renew", always, func(ld *leader) { ld.renewal.rule() }},
	{"postponed appends", always, (*leader).sendPostponed},
	{"configuration", always, func(ld *leader) { ld.voters.reconcile() }},
	{"requests that wait for raft", always, func(ld *leader) { ld.requests.completeRequests() }},
	{"applicants", always, func(ld *leader) { ld.requests.applicantRule() }},
}

// maxPasses bounds how often the rules follow one another in one step.
const maxPasses = 100

// settle runs the rules until nothing more follows from the present state at the
// present time, and works out when to look again.
func (n *Node) settle() {
	for range maxPasses {
		n.wake, n.wakeRule = Never, ""
		for _, r := range rules {
			if n.removed {
				n.wake, n.wakeRule = Never, ""
				return
			}
			n.running = r.name
			r.run(n)
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

// rule runs the leader's rules.
func (ld *leader) rule() {
	l := ld.lead
	for _, r := range leaderRules {
		if r.when == always || r.when == ld.stage {
			ld.running = r.name
			if r.run(ld); ld.lead != l {
				return
			}
		}
	}
}

// stageNow is how far this leadership has come. It lets a leader with a stuck disk
// hand on.
func (ld *leader) stageNow() leaderStage {
	switch {
	case ld.caretaker.handOnRule():
		return handingOn
	case ld.declared():
		ld.lead.why = ""
		return declared
	default:
		return undeclared
	}
}

// wakeAt asks for a Tick at t, for the sake of the rule that runs.
func (b *base) wakeAt(t Instant) {
	if t < b.wake {
		b.wake, b.wakeRule = t, b.running
	}
}

// before reports whether t is still to come. If so, it asks for a Tick then.
func (b *base) before(t Instant) bool {
	if b.now >= t {
		return false
	}
	b.wakeAt(t)
	return true
}

// fail ends the process: what cannot be has happened. It names the rule.
func (b *base) fail(format string, args ...any) {
	panic(fmt.Sprintf("election: rule %q: ", b.running) + fmt.Sprintf(format, args...))
}
