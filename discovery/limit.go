package discovery

import (
	"net/netip"
	"time"

	"github.com/arc-ring/arc/internal/limits"
)

// limiter bounds the answers to one source and to all: a hello costs its
// sender nothing, and its source address may be forged.
type limiter struct {
	all     bucket
	sources map[netip.AddrPort]bucket
}

type bucket struct {
	level float64
	at    time.Time
}

// take fills the bucket for the time gone by and takes one out if it can.
func (b *bucket) take(now time.Time, perSecond float64) bool {
	if b.at.IsZero() {
		b.level = perSecond
	} else if gone := now.Sub(b.at); gone > 0 {
		b.level = min(perSecond, b.level+gone.Seconds()*perSecond)
	}
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

// allow says whether one more answer to the source may leave now.
func (l *limiter) allow(now time.Time, source netip.AddrPort) bool {
	b, known := l.sources[source]
	if !known && len(l.sources) >= limits.Sources {
		// A bucket that was not used for a second is full: dropping it
		// changes nothing.
		for s, old := range l.sources {
			if now.Sub(old.at) >= time.Second {
				delete(l.sources, s)
			}
		}
		if len(l.sources) >= limits.Sources {
			return false
		}
	}
	if l.sources == nil {
		l.sources = map[netip.AddrPort]bucket{}
	}
	ok := b.take(now, limits.SourceAnswers)
	l.sources[source] = b
	return ok && l.all.take(now, limits.AllAnswers)
}
