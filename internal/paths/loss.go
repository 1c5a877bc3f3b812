package paths

import (
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
)

const (
	// lossJudged is how many segments have to be sent before their loss is judged, and
	// lossLeast the share of them, one in so many, that makes a stream lossy. A host that
	// stands still makes its kernel repeat one segment of each stream each time.
	lossJudged = 24
	lossLeast  = 6
)

// Loss judges by what a kernel sent again whether a stream gets through well enough. On
// a busy stream the kernel repeats what was lost within milliseconds, so that no check
// is missed although a third of all is lost. The zero value is ready for use.
type Loss struct {
	sent, again uint64
	since       mono.Instant
	lossy       bool
}

// Note takes how many segments with data were sent so far, and how many of them were
// sent again. It reports whether too many were, among the last that were enough to
// judge.
func (l *Loss) Note(now mono.Instant, sent, again uint64) bool {
	newly, repeated := sent-l.sent, again-l.again
	switch {
	case newly >= lossJudged:
		l.lossy = repeated*lossLeast >= newly
	case now.Sub(l.since) >= durations.PathClean:
		l.lossy = false // it is quiet: checks show more
	default:
		return l.lossy
	}
	l.sent, l.again, l.since = sent, again, now
	return l.lossy
}
