package policy

import (
	"time"

	"github.com/arc-ring/arc/internal/durations"
)

// Rules are how a connection is tried. The zero value tries all addresses at
// once, and again as soon as all have failed.
type Rules struct {
	// Stagger passes before the next address of a round is tried. 0: all are tried
	// at once.
	Stagger time.Duration
	// Overlap passes after the last try of a round before a further round begins
	// although tries are unanswered. After EarlyRounds rounds it is LateOverlap. 0:
	// a round ends when all of it has failed.
	Overlap, LateOverlap time.Duration
	EarlyRounds          int
	// Answer is how long the other side may take to answer on a connection, before
	// a further round begins.
	Answer time.Duration
	// Most bounds the tries under way. 0: nothing does.
	Most int

	// Backoff is the pause after a round that failed. Spread draws each pause from
	// three to five quarters of its length, so that those who lost a peer at the
	// same moment do not meet again.
	Backoff durations.Backoff
	Spread  bool
	// Slow is the pause while the other side is thought dead.
	Slow time.Duration
	// Spare bounds the pause before a round that nobody waits for. It is drawn from 0
	// on, so that those who have a network back at the same moment do not all shake
	// hands at once. Such a round ends when all of it has failed.
	Spare time.Duration
	// Quick is how often a failure that was no refusal is repeated before the
	// back-off, QuickPause later at first, doubling. It is granted again to a
	// connection that lived.
	Quick      int
	QuickPause time.Duration
	// CutFailures is how many failures a connection that was cut counts as, at
	// least.
	CutFailures int
	// SilentEvery is the shortest time between two races beside a connection that
	// is silent.
	SilentEvery time.Duration
	// Once: the connection is given up when all addresses have failed.
	Once bool
}

// Reason is why a try failed, or a connection was lost.
type Reason int

const (
	// Unanswered: nothing came in time, or the connection broke.
	Unanswered Reason = iota
	// NobodyListens: the host answers, and nobody listens there.
	NobodyListens
	// Rejected: the one who answers is another, or will not have us.
	Rejected
	// Own: the address leads back to this node.
	Own
	// Cut: the connection below was lost, and not only what ran over it.
	Cut
)

// State is what a connection does now.
type State int

const (
	// Idle: there is no connection, and none is tried.
	Idle State = iota
	// Dialling: tries are under way.
	Dialling
	// Up: the connection stands.
	Up
	// Stalled: it stands and is silent, and a fresh one is tried beside it.
	Stalled
	// BackingOff: the next round begins after a pause.
	BackingOff
	// Refused: as BackingOff, after somebody answered and did not take us.
	Refused
	// GivenUp: all addresses failed, and the rules say Once.
	GivenUp
)

// Trying reports whether a connection is tried, now or after a pause: one beside
// the one that stands too.
func (s State) Trying() bool { return s != Idle && s != Up && s != GivenUp }
