package durations

import "time"

// Backoff is a pause that grows with the failures in a row.
type Backoff struct{ First, Longest time.Duration }

// Pause returns the pause after so many failures: none after none, then First,
// doubled with each further one, at most Longest.
func (b Backoff) Pause(failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	return min(b.First<<min(failures-1, 20), b.Longest)
}
