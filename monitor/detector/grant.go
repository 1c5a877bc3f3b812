package detector

import (
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

// grant is this monitor's word to the leader that it watches: not to testify
// that it has ended before length has passed since the receipt of the newest
// pong under its number. The leader counts it from the sending of the newest
// pong that was acked, so it is never the first to be surprised. A grant that
// was testified against is dead for good: the next one has another number.
type grant struct {
	number uint64
	length time.Duration
	// target, incarnation and term are the leadership that it is for.
	target, incarnation, term uint64

	pong  uint64 // newest that came while the grant had this number; 0 if none
	until mono.Instant
	// testified is the number of the newest grant of this leadership that ended.
	testified uint64
}

// grantTo returns the grant for the leader's link: a new one if the leadership
// or the timing is another than before; nil if the target gets none.
func (w *Watch) grantTo(o *watched) *grant {
	if w.link.GrantLength <= 0 || o.target.ID != w.link.Leader {
		return nil
	}
	g := &w.grant
	if g.target != o.target.ID || g.incarnation != o.target.Incarnation || g.term != w.term || g.length != w.link.GrantLength {
		*g = grant{number: g.number + 1, length: w.link.GrantLength, target: o.target.ID, incarnation: o.target.Incarnation, term: w.term}
	}
	return g
}

// ponged renews the grant: the next probe acks the pong.
func (w *Watch) ponged(now mono.Instant, o *watched, seq uint64) {
	if g := w.grantTo(o); g != nil {
		g.pong = max(g.pong, seq)
		g.until = max(g.until, now.Add(g.length))
	}
}

// testify returns the number of the leader's grant that has ended; 0 while none
// has. Only while the target is suspect is one ended.
func (w *Watch) testify(now mono.Instant, o *watched) uint64 {
	g := w.grantTo(o)
	if g == nil || o.det.Replaced() {
		return 0
	}
	if g.pong != 0 && now >= g.until {
		g.testified = g.number
		g.number++
		g.pong = 0
	}
	return g.testified
}

// testifyAt is when a testimony becomes possible, mono.Never if none is due.
func (w *Watch) testifyAt(o *watched) mono.Instant {
	g := w.grantTo(o)
	if g == nil || o.det.state != Suspect || g.pong == 0 || o.det.Replaced() {
		return mono.Never
	}
	return g.until
}
