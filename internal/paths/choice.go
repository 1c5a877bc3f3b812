package paths

import (
	"time"

	"github.com/arc-ring/arc/internal/limits"
)

// Way is a path to a peer as its sender sees it.
type Way interface {
	// Stands reports whether there is a stream over it.
	Stands() bool
	// Down reports whether its checks are missed while others are acknowledged.
	Down() bool
	// Delay is how long a message may take over it.
	Delay() time.Duration
}

// Lay returns which of a peer's addresses have a path each. It is none if one path is
// tried at all of them: there is no choice, or none has answered yet.
func Lay(addresses []string, reached bool) []string {
	if len(addresses) < 2 || !reached {
		return nil
	}
	return addresses[:min(len(addresses), limits.Paths)]
}

// Choose returns the ways that a message of this size takes: a small one all that
// stand, a large one the best of them. While none stands it waits on all, and the
// first that stands again takes it.
func Choose[W Way](ways []W, size int) []W {
	if len(ways) == 1 {
		return ways
	}
	stand := standing(ways)
	switch {
	case len(stand) == 0:
		return ways
	case len(stand) == 1 || size <= limits.SmallMessage:
		return stand
	}
	best, delay := 0, stand[0].Delay()
	for i, w := range stand[1:] {
		d, down := w.Delay(), stand[best].Down()
		if down && !w.Down() || down == w.Down() && d < delay {
			best, delay = i+1, d
		}
	}
	return stand[best : best+1]
}

func standing[W Way](ways []W) []W {
	stand := make([]W, 0, len(ways))
	for _, w := range ways {
		if w.Stands() {
			stand = append(stand, w)
		}
	}
	return stand
}

// WholeSegments is how large a whole check is: several segments, of which one is
// probably lost on a path that loses many.
const WholeSegments = 4

// Whole returns the ways whose checks of this round are as large as some segments, so
// that a path which lets only small packets through is found. These are all that are down,
// and one of the others in turn while a further one can vouch for the peer.
func Whole[W Way](round int, ways []W) (whole []W) {
	var sound []W
	for _, w := range standing(ways) {
		if w.Down() {
			whole = append(whole, w)
		} else {
			sound = append(sound, w)
		}
	}
	if len(sound) > 1 {
		whole = append(whole, sound[round%len(sound)])
	}
	return whole
}
