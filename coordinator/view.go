package coordinator

import (
	"sync/atomic"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// phase is what the coordinator is doing; its value is the word in
// StatusResponse.
type phase string

const (
	joining  phase = "joining"
	founding phase = "founding"
	member   phase = "member"
	leaving  phase = "leaving"
)

// view is what everybody but the event loop sees of the node. It is never
// changed once published.
type view struct {
	phase phase
	// id is 0 until the node has joined.
	id     uint64
	ringID string
	// ring is the committed state, empty before the first snapshot came in.
	ring   *ring.State
	status election.Status
	// claimTerm and claimEnd are ClaimUntil's; 0 without a declaration.
	claimTerm uint64
	claimEnd  election.Instant
	// leaderEnd is until when there is proof that the declared leader leads.
	leaderEnd election.Instant
	// leaderless is since when there was no proof of a leader when this view was
	// published; 0 if there was one.
	leaderless election.Instant
	// waitsFor says, while this node is no member, whom its ring needs before
	// anybody can join it; empty if nobody is known to be missing.
	waitsFor string
}

// claim tells whether this node leads at now.
func (v *view) claim(now election.Instant) (term uint64, left time.Duration, ok bool) {
	switch {
	case v.claimTerm == 0 || now >= v.claimEnd:
		return 0, 0, false
	case v.claimEnd == election.Never:
		return v.claimTerm, v.ring.Settings.Lease(), true
	default:
		return v.claimTerm, v.claimEnd.Sub(now), true
	}
}

// leader is the declared leader, if there is proof at now that it leads. A
// caretaker is none: it must not act, and it carries out no requests. Nor is a
// leader that may be cut off, this node itself included.
func (v *view) leader(now election.Instant) (ring.Member, bool) {
	if !v.status.Declared || v.status.Leader == 0 || now >= v.leaderEnd {
		return ring.Member{}, false
	}
	return v.ring.Member(v.status.Leader)
}

// lapsed reports whether the proof of a declared leader has run out at now.
func (v *view) lapsed(now election.Instant) bool {
	return v.status.Declared && v.status.Leader != 0 && now >= v.leaderEnd
}

// suspect tells whether a suspicion against id is known and not cleared.
func (v *view) suspect(id uint64) bool {
	for _, s := range v.status.Suspects {
		if s == id {
			return true
		}
	}
	return false
}

// viewBox holds the newest view. Only the event loop and, between two
// memberships, Run store into it, through the hub.
type viewBox struct {
	p     atomic.Pointer[view]
	clock func() election.Instant
}

func (b *viewBox) load() *view { return b.p.Load() }

// leader is who leads as far as there is proof at the moment of asking.
func (b *viewBox) leader() (*view, ring.Member, bool) {
	v, now, _, _, _ := b.claim()
	m, ok := v.leader(now)
	return v, m, ok
}

// claim reads the claim at the moment of asking. The view is read on both
// sides of the clock: a claim that was given up in between is not told.
func (b *viewBox) claim() (v *view, now election.Instant, term uint64, left time.Duration, ok bool) {
	for {
		v = b.load()
		now = b.clock()
		if b.load() == v {
			term, left, ok = v.claim(now)
			return v, now, term, left, ok
		}
	}
}
