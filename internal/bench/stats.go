package bench

import (
	"math"
	"slices"
	"time"
)

// Sample is a set of measured times, in milliseconds.
type Sample []float64

// Summary is what a table says about a sample.
type Summary struct {
	// N is how many times were measured; the others are 0 if it is.
	N                int
	Median, P90, Max float64
}

// Summarize sorts nothing in place.
func (s Sample) Summarize() Summary {
	if len(s) == 0 {
		return Summary{}
	}
	sorted := slices.Clone(s)
	slices.Sort(sorted)
	return Summary{
		N: len(sorted), Median: quantile(sorted, 0.5), P90: quantile(sorted, 0.9), Max: sorted[len(sorted)-1],
	}
}

// quantile interpolates between the two nearest values of a sorted sample, so
// that the median of an even number is the mean of the middle two.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// milliseconds of a duration, with all its digits.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
