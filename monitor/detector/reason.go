package detector

import (
	"fmt"
	"time"
)

// State is what a Detector thinks of its member.
type State string

const (
	// Unknown: not enough samples, no answer yet and not enough silence.
	Unknown State = "unknown"
	// Alive: it answered and is not suspected.
	Alive State = "alive"
	// Suspect: it is thought dead.
	Suspect State = "suspect"
)

// Cause says what a Reason is about, in words; Reason.String adds the numbers.
type Cause string

const (
	// NoSamples: nothing came, nothing is missing yet.
	NoSamples Cause = "no answer yet"
	Answering Cause = "answers"
	// Missing: probes in a row are unanswered, too few to suspect.
	Missing Cause = "probes in a row unanswered"
	// TooManyMissing: so many that the member is suspected.
	TooManyMissing Cause = "in a row unanswered"
	// StreamBroke: the stream broke just now.
	StreamBroke Cause = "the stream broke"
	// StreamLost: it broke and could not be had again.
	StreamLost    Cause = "the stream broke and cannot be had again"
	NobodyListens Cause = "every address refuses the connection"
	SomebodyElse  Cause = "another process answers at its address"
	// AnsweredAgain: it answered after it was suspected.
	AnsweredAgain Cause = "answered again"
	// OtherAddresses: what spoke against it was found at addresses that it has no
	// more.
	OtherAddresses Cause = "it has other addresses now"
)

// Reason says why a Detector thinks what it thinks. It prints as a short
// sentence.
type Reason struct {
	Cause Cause
	// Misses is how many probes in a row are unanswered, Needed how many make
	// a suspicion.
	Misses, Needed int
	// Silence is the time since the last answer, or since the first probe.
	Silence time.Duration
}

func (r Reason) String() string {
	silence := r.Silence.Round(100 * time.Microsecond)
	switch r.Cause {
	case Missing:
		return fmt.Sprintf("%d of %d %s", r.Misses, r.Needed, r.Cause)
	case TooManyMissing:
		probes := "probes"
		if r.Misses == 1 {
			probes = "probe"
		}
		return fmt.Sprintf("%d %s %s, silent for %v", r.Misses, probes, r.Cause, silence)
	case StreamLost:
		return fmt.Sprintf("%s, silent for %v", r.Cause, silence)
	case AnsweredAgain:
		return fmt.Sprintf("%s after %v", r.Cause, silence)
	}
	return string(r.Cause)
}

// Run is a row of probes that were still unanswered when the next one was due,
// of a member that answered after all. Without a fault, each that is as long as
// what makes a suspicion was a false alarm, so runs say how far settings are
// from one.
type Run struct {
	// Missed is how long the row was; Counted leaves out what was excused since
	// this monitor itself was late.
	Missed, Counted int
	// Silence is the time between the two answers.
	Silence time.Duration
}
