package rate

import (
	"maps"
	"time"
)

// Limiter bounds what is done per second. A whole second's worth may be done at once.
type Limiter[Source comparable] struct {
	// Each and All bound one source and all together; no All, no bound.
	Each, All float64
	// Most is how many sources are told apart. While so many are active, no other one
	// is allowed anything.
	Most int

	all     bucket
	sources map[Source]bucket
}

// Allow reports whether the source may have one more done now, and counts it.
func (l *Limiter[Source]) Allow(now time.Time, source Source) bool {
	if l.sources == nil {
		l.sources = map[Source]bucket{}
	}
	if _, known := l.sources[source]; !known && len(l.sources) >= l.Most {
		// A bucket that was not used for a second is full: dropping it changes nothing.
		maps.DeleteFunc(l.sources, func(_ Source, b bucket) bool { return now.Sub(b.at) >= time.Second })
		if len(l.sources) >= l.Most {
			return false
		}
	}
	b := l.sources[source]
	ok := b.take(now, l.Each)
	l.sources[source] = b
	return ok && (l.All == 0 || l.all.take(now, l.All))
}

type bucket struct {
	level float64
	at    time.Time
}

// take fills the bucket for the time gone by, a new one to the brim, and takes one
// out if it can.
func (b *bucket) take(now time.Time, perSecond float64) bool {
	b.level = min(perSecond, b.level+max(0, now.Sub(b.at)).Seconds()*perSecond)
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
