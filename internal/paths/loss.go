package paths

// lossLeast is the share of what is sent, one in so many, whose loss makes a check missed.
const lossLeast = 6

// Loss judges by what a kernel sent again whether a stream gets through well enough. On
// a busy stream the kernel repeats what was lost within milliseconds, so that no check
// is missed although a third of all is lost. The zero value is ready for use.
type Loss struct {
	sent, again uint64
	// late: the last check was not acknowledged. What it lacked is sent again after it.
	late bool
}

// Note takes how many segments with data the stream has sent so far, how many of them
// had been sent before and had not arrived, as far as is known, and whether the newest
// check was acknowledged. It returns what became of that check.
func (l *Loss) Note(sent, again uint64, acked bool) Outcome {
	newly, repeated := sent-l.sent, again-min(again, l.again) // that it had arrived may be known later
	lossy := repeated > 0 && repeated*lossLeast >= newly && !l.late
	l.sent, l.again, l.late = sent, again, !acked
	if !acked || lossy {
		return Missed
	}
	return Good
}
