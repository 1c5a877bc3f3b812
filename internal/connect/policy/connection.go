package policy

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

// Connection is one connection that somebody wants. Make it with New.
type Connection struct {
	// Rules may change at any time; what was decided by the old ones stays.
	Rules Rules
	// Slow: the other side is thought dead.
	Slow bool
	// Spare: the other side is reached over another connection, so nobody waits for
	// this one.
	Spare bool

	// chance draws a duration from 0 to below the given one.
	chance func(time.Duration) time.Duration
	// tries are those under way and the one that stands, oldest first. unended
	// also counts those that were given up and have not ended yet.
	tries   []try
	up      uint64 // the try that stands, 0 if none does
	newest  uint64
	unended int
	began   mono.Instant // the newest try

	// racing: a further try is due at a certain moment, or awaits an outcome. todo
	// are the addresses left in this round.
	racing bool
	due    mono.Instant
	todo   []string
	// good is the address that last worked.
	good string
	// rounds counts those of this race that have not failed.
	rounds int

	failures int  // rounds that failed and connections that did not live, in a row
	proved   bool // the connection that stands is none of them
	quick    int  // quick tries left
	quickly  bool // one of them is due
	refused  bool // the last failure was a refusal or a rejection
	rejected bool // of this round: somebody rejected us
	others   bool // of this round: an address was not this node's own
	givenUp  bool
	raced    mono.Instant // when silence last began a race, 0 if it never did

	actions []Action
}

type try struct {
	id      uint64
	address string
}

// Action is what to do: to begin a try, or to give it up.
type Action struct {
	// Try numbers it; never 0.
	Try uint64
	// Address is where to dial; empty if the try is given up.
	Address string
}

// Sight is what its caller sees at the moment of a Tick that is due.
type Sight struct {
	// Addresses are where to try, in order. With none nothing is tried until Begin.
	Addresses []string
	// Unwanted: nobody needs the connection now, so none is tried until Begin.
	Unwanted bool
	// Stuck: the connection that stands still does not get through.
	Stuck bool
	// Linked: a try has a connection and waits for what the other side says.
	Linked bool
	// Crowded: so many tries are under way, to others too, that a further one would
	// only be in their way.
	Crowded bool
}

// New returns a connection that is not tried before Begin. chance draws a
// duration from 0 to below the given one; it may be nil without Rules.Spread.
func New(r Rules, chance func(time.Duration) time.Duration) *Connection {
	return &Connection{Rules: r, chance: chance, quick: r.Quick}
}

// Begin begins a round now, whatever is under way; one that nobody waits for after a
// pause of its own.
func (c *Connection) Begin(now mono.Instant) { c.race(now, c.sparePause()) }

// BeginIn begins a round after a pause.
func (c *Connection) BeginIn(now mono.Instant, pause time.Duration) {
	c.race(now, max(c.spread(pause), c.sparePause()))
}

// Fresh is Begin for a new reason: what failed before does not count.
func (c *Connection) Fresh(now mono.Instant) {
	c.failures = 0
	c.Begin(now)
}

// Alive takes a sign of life of the other side: it is dialled now, unless the
// tries under way are as good as new ones, or a round is due soon that nobody waits
// for.
func (c *Connection) Alive(now mono.Instant) {
	switch {
	case c.Spare && c.racing && c.due < now.Add(c.Rules.Spare):
	case c.underWay() == 0 || now >= c.began.Add(c.Rules.Stagger):
		c.Fresh(now)
	}
}

// Restart gives everything up, also what stands, and begins a round now.
func (c *Connection) Restart(now mono.Instant) {
	c.up, c.raced = 0, 0
	c.GiveUp()
	c.Fresh(now)
}

// GiveUp gives all tries up, but not the connection that stands.
func (c *Connection) GiveUp() {
	c.keep(c.up)
	c.racing, c.todo, c.rounds, c.rejected, c.others = false, nil, 0, false, false
}

// Silent says that what stands, or has been dialled, does not answer: a fresh try
// begins beside it. Without a sign of life that happens once in SilentEvery.
func (c *Connection) Silent(now mono.Instant, alive bool) {
	if !alive {
		if c.raced != 0 && now < c.raced.Add(c.Rules.SilentEvery) {
			return
		}
		c.raced = now
	}
	if c.Rules.Overlap == 0 && len(c.tries) > 0 {
		c.keep(c.tries[0].id)
	}
	c.Begin(now)
}

// Proved says that the connection that stands lives for long enough to forget what
// failed before.
func (c *Connection) Proved() { c.failures, c.quick, c.proved = 0, c.Rules.Quick, true }

// Won says that the right process answered a try: it stands, and all others are
// given up.
func (c *Connection) Won(id uint64) {
	i := slices.IndexFunc(c.tries, func(t try) bool { return t.id == id })
	c.up, c.good, c.proved = id, c.tries[i].address, false
	c.unended--
	c.GiveUp()
}

// Drop says that a try ended, which counts neither way. It reports whether the try
// was not given up before.
func (c *Connection) Drop(id uint64) bool {
	if c.up == id {
		c.up = 0
	} else {
		c.unended--
	}
	n := len(c.tries)
	c.tries = slices.DeleteFunc(c.tries, func(t try) bool { return t.id == id })
	return len(c.tries) < n
}

// Failed says that a try has not led to the other side.
func (c *Connection) Failed(now mono.Instant, id uint64, why Reason) {
	if !c.Drop(id) {
		return
	}
	c.rejected = c.rejected || why == Rejected
	c.others = c.others || why != Own
	switch {
	case len(c.todo) > 0:
		c.due = now
		return
	case c.underWay() > 0:
		return
	}
	// An address of our own says nothing of the other side, unless it has no other.
	rejected := c.rejected || !c.others
	c.refused = rejected || why == NobodyListens
	c.failures++
	c.rounds, c.rejected, c.others = 0, false, false
	switch {
	case c.Rules.Once:
		c.racing, c.givenUp = false, true
	case c.up != 0 && c.Rules.Overlap == 0:
		c.racing = false // until it is said again that the one that stands is silent
	case why == Unanswered && c.repeat(now):
	default:
		c.race(now, c.pause(c.failures, rejected))
	}
}

// Lost says that a connection ended that had led to somebody.
func (c *Connection) Lost(now mono.Instant, id uint64, why Reason) {
	c.Drop(id)
	c.refused = why == Rejected
	before := c.failures
	if !c.proved {
		c.failures++
	}
	c.proved = false
	switch {
	case c.underWay() > 0: // its successor is on the way
	case why == Rejected && !c.Slow:
		c.failures, c.quick = 0, 0
		c.race(now, c.pause(0, true))
	case why == Cut && !c.Slow:
		c.failures = max(c.failures, c.Rules.CutFailures)
		c.race(now, c.pause(c.failures, false))
	case before > 0 && c.repeat(now):
	default: // at once, if nothing has failed before
		c.race(now, c.pause(before, false))
	}
}

// Due reports whether Tick needs a true Sight.
func (c *Connection) Due(now mono.Instant) bool { return c.racing && now >= c.due }

// Next returns when Tick is due, mono.Never if nothing is.
func (c *Connection) Next() mono.Instant {
	if !c.racing {
		return mono.Never
	}
	return c.due
}

// Quick is Next for a quick try, mono.Never if none is due.
func (c *Connection) Quick() mono.Instant {
	if !c.racing || !c.quickly {
		return mono.Never
	}
	return c.due
}

// Failures counts the rounds that failed, and the connections that did not live,
// in a row.
func (c *Connection) Failures() int { return c.failures }

// State returns what the connection does now.
func (c *Connection) State() State {
	switch {
	case c.givenUp:
		return GivenUp
	case c.up != 0 && c.racing:
		return Stalled
	case c.up != 0:
		return Up
	case c.underWay() > 0:
		return Dialling
	case c.racing && c.refused:
		return Refused
	case c.racing:
		return BackingOff
	}
	return Idle
}

// Tick returns what is to be done now, in order. The slice is good until the next
// call.
func (c *Connection) Tick(now mono.Instant, s Sight) []Action {
	for c.Due(now) {
		c.step(now, s)
	}
	out := c.actions
	c.actions = c.actions[:0]
	return out
}

// step does one thing that is due.
func (c *Connection) step(now mono.Instant, s Sight) {
	r := &c.Rules
	switch {
	case c.up != 0 && !s.Stuck, c.up == 0 && c.underWay() == 0 && s.Unwanted:
		c.GiveUp() // it recovered, or nobody needs it
	case len(c.todo) == 0 && s.Linked && now < c.began.Add(r.Answer):
		c.due = now.Add(r.Overlap)
	case len(c.todo) == 0 && c.underWay() > 0 && s.Crowded:
		c.due = now.Add(r.Answer)
	case len(c.todo) == 0 && !c.newRound(s.Addresses):
		c.racing = false
	case r.Most > 0 && c.unended >= r.Most:
		c.due = now.Add(max(r.Stagger, time.Millisecond))
	default:
		c.dial(now)
	}
}

// newRound lists the addresses, the one that worked last first.
func (c *Connection) newRound(addresses []string) bool {
	c.todo = slices.Clone(addresses)
	if i := slices.Index(c.todo, c.good); i > 0 {
		c.todo[0], c.todo[i] = c.todo[i], c.todo[0]
	}
	return len(c.todo) > 0
}

func (c *Connection) dial(now mono.Instant) {
	r := &c.Rules
	c.newest++
	c.unended++
	c.began = now
	c.tries = append(c.tries, try{c.newest, c.todo[0]})
	c.actions = append(c.actions, Action{Try: c.newest, Address: c.todo[0]})
	c.todo = c.todo[1:]
	c.quickly = false
	switch {
	case len(c.todo) > 0:
		c.due = now.Add(r.Stagger)
	case r.Overlap == 0, c.Spare:
		c.due = mono.Never
	default:
		c.rounds++
		wait := r.LateOverlap
		if c.rounds < r.EarlyRounds {
			wait = r.Overlap
		}
		c.due = now.Add(wait)
	}
}

// race begins a round after the pause.
func (c *Connection) race(now mono.Instant, pause time.Duration) {
	c.racing, c.todo, c.due, c.quickly, c.givenUp = true, nil, now.Add(pause), false, false
}

// sparePause is the pause before a round that nobody waits for, 0 before another one.
func (c *Connection) sparePause() time.Duration {
	if !c.Spare || c.Rules.Spare == 0 {
		return 0
	}
	return c.chance(c.Rules.Spare)
}

// repeat makes a quick try the next one, if one is left.
func (c *Connection) repeat(now mono.Instant) bool {
	if c.quick == 0 {
		return false
	}
	c.race(now, c.Rules.QuickPause<<(c.Rules.Quick-c.quick))
	c.quick--
	c.quickly = true
	return true
}

// pause is the wait before the next round.
func (c *Connection) pause(failures int, rejected bool) time.Duration {
	switch {
	case c.Slow:
		return c.spread(c.Rules.Slow)
	case rejected:
		return c.spread(c.Rules.Backoff.Longest)
	}
	return max(c.spread(c.Rules.Backoff.Pause(failures)), c.sparePause())
}

func (c *Connection) spread(d time.Duration) time.Duration {
	if !c.Rules.Spread || d == 0 {
		return d
	}
	return d*3/4 + c.chance(d/2)
}

// underWay counts the tries that have not led to the other side yet.
func (c *Connection) underWay() int {
	n := len(c.tries)
	if c.up != 0 {
		n--
	}
	return n
}

// keep gives up all tries but one.
func (c *Connection) keep(id uint64) {
	c.tries = slices.DeleteFunc(c.tries, func(t try) bool {
		if t.id != id {
			c.actions = append(c.actions, Action{Try: t.id})
		}
		return t.id != id
	})
}
