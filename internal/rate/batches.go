package rate

import "time"

// Batches bounds how much is done per second by who has to take what comes, and
// leaves the processor to others in between: after Most at once it pauses until Each has
// gone by. A goroutine that is never out of work would keep the runtime from looking
// for what has come to others.
type Batches struct {
	Most int
	Each time.Duration

	done  int
	since time.Time
}

// Pause counts one more that was done, and returns how long to wait before the next.
func (b *Batches) Pause(now time.Time) time.Duration {
	if b.done == 0 {
		b.since = now
	}
	if b.done++; b.done < b.Most {
		return 0
	}
	b.done = 0
	return max(0, b.since.Add(b.Each).Sub(now))
}
