package coordinator

import (
	"runtime/debug"
	"time"
)

// releasedAfter is a time at which this program did not exist yet. A build from
// a checkout knows better: Go puts the time of its commit into the binary.
var releasedAfter = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// released returns the time before which this binary cannot have been started.
func released() time.Time {
	at := releasedAfter
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return at
	}
	for _, s := range info.Settings {
		if s.Key != "vcs.time" {
			continue
		}
		if t, err := time.Parse(time.RFC3339, s.Value); err == nil && t.After(at) {
			at = t
		}
	}
	return at
}

// warnOfPast says that the wall clock is wrong when a ring is founded. The first
// token is the time in seconds, so a ring that was lost with all its disks may
// have issued higher ones.
func (n *node) warnOfPast(now time.Time) {
	if since := released(); now.Before(since) {
		n.log.Warn("the clock of this machine is wrong: it shows a time before this program was made",
			"time", now.UTC().Format(time.RFC3339), "made", since.UTC().Format(time.RFC3339),
			"hint", "tokens begin at the Unix time; set the clock before a ring is founded that replaces a lost one")
	}
}
