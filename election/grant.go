package election

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/arc-ring/arc/election/internal/tracker"
	"github.com/arc-ring/arc/ring"
)

// Ping is a probe of this coordinator by another member's monitor, as far as
// it concerns the leader: the watcher's grant rides on it.
type Ping struct {
	// From is the member whose monitor it is, Seq the probe's number.
	From, Seq uint64
	// Grant is the number of the word that the watcher gives: not to testify
	// that it ended before Length after the receipt of the newest pong that it
	// acked under this number. Numbers are never used twice; 0 gives none.
	Grant  uint64
	Length time.Duration
	// Ack is the newest pong that arrived while the grant had this number; 0
	// if none did.
	Ack uint64
	// At is when the pong to this ping was sent, or any moment before.
	At Instant
}

// grantKey names a grant.
type grantKey struct{ watcher, number uint64 }

// named is the grant whose end ends the promise too.
func (r Renew) named() grantKey { return grantKey{r.Watcher, r.Grant} }

// grants are the words that watchers gave to this member. They matter once it leads.
type grants struct {
	watchers tracker.Table[grant]
	// ends are when grants may end, as this member counts; 0 if that is not known.
	ends map[grantKey]Instant
}

// extend notes that a grant does not end before an instant. Above the bound it
// forgets the one that ends first.
func (g *grants) extend(key grantKey, at Instant) {
	g.ends[key] = max(g.ends[key], at)
	if len(g.ends) > maxGrants {
		delete(g.ends, slices.MinFunc(slices.Collect(maps.Keys(g.ends)), func(a, b grantKey) int {
			return cmp.Or(cmp.Compare(g.ends[a], g.ends[b]), cmp.Compare(a.watcher, b.watcher), cmp.Compare(a.number, b.number))
		}))
	}
}

// grant is what this member knows of one watcher's word.
type grant struct {
	number uint64
	// pongs are when the newest pongs were sent, by seq modulo the length.
	pongs [16]sentPong
	// acked is the newest pong of which the leader knows that it arrived, ackedAt when it
	// learned so.
	acked   uint64
	ackedAt Instant
	// newest is the highest number of a probe that came.
	newest uint64
	// acks counts those that came in time, one after the other.
	acks int
}

type sentPong struct {
	seq uint64
	at  Instant
}

// steadyAcks is how many probes in a row must come in time before a grant is
// relied upon.
const steadyAcks = 2

// maxPingsAhead is how many probes in a row may be lost under one grant; a probe
// numbered higher is not the watcher's.
const maxPingsAhead = 1 << 20

// maxGrants bounds how many grants' ends are remembered. One that is not
// remembered is counted as ended.
const maxGrants = 64

// pinged lets the watcher's word count from the sending of the newest pong
// that it acked: it arrived no earlier than that.
//
// The same probe may come by several paths, and its pongs bear the same number:
// the first one counts, since any of them may be the one that is acked. So all
// are noted, also before this member is declared and while a handover is tried.
func (l *lease) pinged(p Ping) {
	if p.Grant == 0 || p.Length <= 0 || p.Seq == 0 || p.At > l.now || !l.isMember(p.From) || p.From == l.cfg.ID {
		return
	}
	// The watcher's settings may be newer or older than those here.
	p.Length = min(p.Length, l.ring.Settings.GrantLength())
	g := l.grants.watchers.Ensure(p.From)
	if g.number != p.Grant {
		*g = grant{number: p.Grant}
	}
	if g.newest != 0 && p.Seq > g.newest+maxPingsAhead {
		return
	}
	g.newest = max(g.newest, p.Seq)
	if s := g.pongs[p.Ack%uint64(len(g.pongs))]; p.Ack != 0 && s.seq == p.Ack && p.Ack > g.acked {
		if l.now >= g.overdueAt(l.ring.Settings) {
			g.acks = 0
		}
		g.acked, g.ackedAt, g.acks = p.Ack, l.now, g.acks+1
		l.grants.extend(grantKey{p.From, p.Grant}, s.at.Add(l.ring.Settings.Shortened(p.Length)))
		l.forgetWatchers()
	}
	if s := &g.pongs[p.Seq%uint64(len(g.pongs))]; p.Seq > s.seq {
		*s = sentPong{p.Seq, p.At}
	}
}

// overdueAt is when the watcher's next probe is late: three quarters of an
// interval after it was due. There must be time left to renew without it before the grant ends.
func (g *grant) overdueAt(s ring.Settings) Instant { return g.ackedAt.Add(s.GrantOverdue()) }

// forgetWatchers drops the words of former members.
func (l *lease) forgetWatchers() {
	for _, id := range l.grants.watchers.IDs() {
		if !l.isMember(id) {
			l.grants.watchers.Delete(id)
		}
	}
}

// wantedGrant returns the grant that renewals should name now: the named one
// while its watcher's probes come in time, else another steady one, else none.
func (l *lease) wantedGrant(declared bool) grantKey {
	s := l.ring.Settings
	if !s.LeaderGrants || !declared {
		return grantKey{}
	}
	if g := l.grants.watchers.Get(l.named.watcher); g != nil && g.number == l.named.number && l.before(g.overdueAt(s)) {
		return l.named
	}
	interval, _ := s.Link(true)
	if l.named == (grantKey{}) && l.now < l.namedAt.Add(3*interval) {
		return grantKey{} // one that comes and goes is not worth a renewal each time
	}
	var best grantKey
	for _, m := range l.ring.Members {
		g := l.grants.watchers.Value(m.ID)
		key := grantKey{m.ID, g.number}
		steady := g.acks >= steadyAcks && l.now < g.overdueAt(s) && l.now.Add(interval) < l.grants.ends[key]
		if steady && (best == (grantKey{}) || l.grants.ends[key] > l.grants.ends[best]) {
			best = key
		}
	}
	return best
}

// boundUntil is when a voter's promise to this leader may end: with the lease
// of the newest renewal that it acked, or earlier with any grant named in that
// one or in a later one, which may have arrived though its ack did not.
func (l *lease) boundUntil(id uint64) Instant {
	if id == l.cfg.ID {
		return Never // while it leads
	}
	a := l.bonds.Value(id).acked
	if a.seq == 0 || l.seq-a.seq >= uint64(len(l.sent)) {
		return 0
	}
	until := a.until
	for seq := a.seq; seq <= l.seq; seq++ {
		if named := l.sent[seq%uint64(len(l.sent))].named; named != (grantKey{}) {
			until = min(until, l.grants.ends[named])
		}
	}
	return until
}
