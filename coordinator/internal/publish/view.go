package publish

import (
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// Phase is what the coordinator is doing; its value is the word in
// StatusResponse.
type Phase string

// The phases. A node is outside a ring while it joins or founds.
const (
	Joining  Phase = "joining"
	Founding Phase = "founding"
	Member   Phase = "member"
	Leaving  Phase = "leaving"
	// Halted: the disk takes no writes, and the node is no member until it does.
	Halted Phase = "halted"
)

// View is what everybody but the event loop sees of the node. It is never
// changed once published.
type View struct {
	Phase Phase
	// ID is 0 until the node has joined.
	ID     uint64
	RingID string
	// Ring is the committed state, empty before the first snapshot came in.
	Ring   *ring.State
	Status election.Status
	// ClaimTerm and ClaimEnd are ClaimUntil's; 0 without a declaration.
	ClaimTerm uint64
	ClaimEnd  election.Instant
	// LeaderEnd is until when there is proof that the declared leader leads.
	LeaderEnd election.Instant
	// Leaderless is since when there was no proof of a leader when this view was
	// published; 0 if there was one.
	Leaderless election.Instant
	// WaitsFor says, while this node is no member, whom its ring needs before
	// anybody can join it; empty if nobody is known to be missing.
	WaitsFor string
}

// claim reports whether this node leads at now, in which term and for how long.
func (v *View) claim(now election.Instant) (term uint64, left time.Duration, ok bool) {
	switch {
	case v.ClaimTerm == 0 || now >= v.ClaimEnd:
		return 0, 0, false
	case v.ClaimEnd == election.Never:
		return v.ClaimTerm, v.Ring.Settings.Lease(), true
	default:
		return v.ClaimTerm, v.ClaimEnd.Sub(now), true
	}
}

// Leader is the declared leader, if there is proof at now that it leads. A
// caretaker is none: it must not act, and it carries out no requests. Nor is a
// leader that may be cut off, this node itself included.
func (v *View) Leader(now election.Instant) (ring.Member, bool) {
	if !v.Status.Declared || v.Status.Leader == 0 || now >= v.LeaderEnd {
		return ring.Member{}, false
	}
	return v.Ring.Member(v.Status.Leader)
}

// Lapsed reports whether the proof of a declared leader has run out at now.
func (v *View) Lapsed(now election.Instant) bool {
	return v.Status.Declared && v.Status.Leader != 0 && now >= v.LeaderEnd
}
