package election

import (
	"cmp"
	"slices"
	"time"

	"github.com/arc-ring/arc/election/internal/tracker"
)

// lease is the leader's side of the promises: which renewals were sent, and for how
// long each voter's ack binds that voter.
type lease struct {
	*base
	// bonds are what is known of each voter's promise.
	bonds tracker.Table[bond]
	// released: the claim was given up for a handover.
	released bool
	lapse    lapse
	grants   grants

	seq  uint64
	next Instant
	sent [64]sentRenewal // by seq modulo its length
	// named is the grant that the newest renewal names, since namedAt.
	named   grantKey
	namedAt Instant
	// ignoreUpTo: acks of renewals that were released do not count.
	ignoreUpTo uint64
	// first is when the first renewal was sent; held is true once a majority
	// promised.
	first Instant
	held  bool
}

// bond is what a leader knows of one other member's promise.
type bond struct {
	// acked is the newest renewal that it acked, with seq 0 if none counts. seen is
	// that one's number, and stays when the promises are void.
	acked ackedRenewal
	seen  uint64
	// asked: it is a learner for whose sake a renewal was sent out of turn.
	asked bool
}

// begin drops all that belongs to an earlier leadership.
func (l *lease) begin() {
	*l = lease{base: l.base, grants: l.grants, seq: voteAck, ignoreUpTo: voteAck}
}

// void ends all promises that were given until now.
func (l *lease) void() {
	l.ignoreUpTo = l.seq
	for _, b := range l.bonds.All() {
		b.acked = ackedRenewal{}
	}
}

type sentRenewal struct {
	seq   uint64
	until Instant
	lease time.Duration // what it asks for
	named grantKey
}

// ackedRenewal is a voter's newest ack: until when it is bound, counted from
// the sending.
type ackedRenewal struct {
	seq   uint64
	until Instant
}

// sending takes down that a renewal goes out now. It binds those who ack it for a lease,
// less what clocks may differ by.
func (l *lease) sending() {
	l.first = cmp.Or(l.first, l.now)
	l.seq++
	s := l.ring.Settings
	l.sent[l.seq%uint64(len(l.sent))] = sentRenewal{seq: l.seq, until: l.now.Add(s.LeaderLease()), lease: s.Lease(), named: l.named}
}

// takeAck notes until when a member is bound by its ack. It reports whether that is
// news.
func (l *lease) takeAck(from uint64, a RenewAck) bool {
	s := l.sent[a.Seq%uint64(len(l.sent))]
	if s.seq != a.Seq || a.Seq <= l.ignoreUpTo {
		return false
	}
	f := l.bonds.Ensure(from)
	if a.Seq <= f.acked.seq {
		return false // an older ack, overtaken
	}
	f.seen = a.Seq
	if a.Lease > 0 && a.Lease < s.lease {
		s.until = s.until.Add(a.Lease - s.lease) // the voter knows a shorter lease
	}
	// The newest renewal alone counts, even where an older one had a longer
	// lease. A grant that was named in between may have ended the older promise,
	// and boundUntil looks at grants from the newest acked renewal on.
	f.acked = ackedRenewal{a.Seq, s.until}
	return true
}

// leaseEnd is when the leader must have stopped acting: the latest time up to
// which a majority of the configuration (of each half while it is joint) is
// bound. The leader itself is bound while it leads. Any later leader needs a
// majority that is free, and majorities of neighbouring configurations meet.
func (l *lease) leaseEnd(voters, outgoing []uint64) Instant {
	end := l.majorityUntil(voters)
	if len(outgoing) > 0 {
		end = min(end, l.majorityUntil(outgoing))
	}
	return end
}

func (l *lease) majorityUntil(voters []uint64) Instant {
	var buf [16]Instant
	until := buf[:0]
	for _, id := range voters {
		until = append(until, l.boundUntil(id))
	}
	if len(until) == 0 {
		return 0
	}
	slices.Sort(until)
	return until[(len(until)-1)/2] // so many and all later ones are a majority
}
