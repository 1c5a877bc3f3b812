package detector

import (
	"fmt"
	"time"
)

// State is what a Detector thinks of its member.
type State int

const (
	// Unknown: not enough samples, no answer yet and not enough silence.
	Unknown State = iota
	// Alive: it answered and is not suspected.
	Alive
	// Suspect: it is thought dead.
	Suspect
)

func (s State) String() string {
	return [...]string{"unknown", "alive", "suspect"}[s]
}

// Cause says what a Reason is about.
type Cause int

const (
	// NoSamples: nothing came, nothing is missing yet.
	NoSamples Cause = iota
	// Answering: the member answers.
	Answering
	// Missing: probes in a row are unanswered, too few to suspect.
	Missing
	// TooManyMissing: so many that the member is suspected.
	TooManyMissing
	// StreamBroke: the stream broke just now.
	StreamBroke
	// StreamLost: it broke and could not be had again.
	StreamLost
	// NobodyListens: every address refused the connection.
	NobodyListens
	// SomebodyElse: another process answers at its addresses.
	SomebodyElse
	// AnsweredAgain: it answered after it was suspected.
	AnsweredAgain
	// OtherAddresses: what spoke against it was found at addresses that it has no
	// more.
	OtherAddresses
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
	case NoSamples:
		return "no answer yet"
	case Answering:
		return "answers"
	case Missing:
		return fmt.Sprintf("%d of %d probes in a row unanswered", r.Misses, r.Needed)
	case TooManyMissing:
		probes := "probes"
		if r.Misses == 1 {
			probes = "probe"
		}
		return fmt.Sprintf("%d %s in a row unanswered, silent for %v", r.Misses, probes, silence)
	case StreamBroke:
		return "the stream broke"
	case StreamLost:
		return fmt.Sprintf("the stream broke and cannot be had again, silent for %v", silence)
	case NobodyListens:
		return "every address refuses the connection"
	case SomebodyElse:
		return "another process answers at its address"
	case AnsweredAgain:
		return fmt.Sprintf("answered again after %v", silence)
	case OtherAddresses:
		return "it has other addresses now"
	default:
		return fmt.Sprintf("cause %d", int(r.Cause))
	}
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
