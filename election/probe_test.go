package election

import (
	"testing"

	"github.com/arc-ring/arc/ring"
)

func TestWhatAProbeFound(t *testing.T) {
	p := Probe{Wanted: ring.Wanted{Cluster: "c", RingID: "r", Name: "n2", ID: 2, Incarnation: 20}}
	by := func(ringID, name string, id, incarnation uint64) ring.Path {
		return ring.Path{Outcome: ring.PathAnswered, Answer: ring.Answer{Cluster: "c", RingID: ringID, Name: name, ID: id, Incarnation: incarnation}}
	}
	refused, silent, own := ring.Path{Outcome: ring.PathRefused}, ring.Path{}, ring.Path{Outcome: ring.PathOwn}
	itself, restarted := by("r", "n2", 2, 20), by("r", "n2", 2, 21)
	for name, c := range map[string]struct {
		paths   []ring.Path
		outcome ProbeOutcome
		found   bool
	}{
		"itself at one address, nobody at the other":      {[]ring.Path{refused, itself}, Answered, true},
		"itself at one address, a stranger at the other":  {[]ring.Path{by("s", "n2", 2, 99), itself}, Answered, true},
		"the bridge is skipped":                           {[]ring.Path{own, refused}, NobodyListens, false},
		"another ring's member with its id, else silence": {[]ring.Path{by("s", "n2", 2, 99), silent}, Unanswered, false},
		"another ring's member alone":                     {[]ring.Path{by("s", "n2", 2, 99)}, Unanswered, false},
		"another member, and nobody at the other":         {[]ring.Path{by("r", "n3", 3, 30), refused}, NobodyListens, false},
		"started again with its disk":                     {[]ring.Path{restarted, silent}, Answered, true},
		"somebody else of its name has its place":         {[]ring.Path{by("", "n2", 0, 21), refused}, Answered, false},
		"of its name, but an address is silent":           {[]ring.Path{by("", "n2", 0, 21), silent}, Unanswered, false},
		"silence":                                         {[]ring.Path{silent, silent}, Unanswered, false},
		"no address":                                      {nil, Unanswered, false},
	} {
		r := p.Result(c.paths)
		if r.Outcome != c.outcome || r.found() != c.found {
			t.Errorf("%s: outcome %v (found %v), want %v (%v)", name, r.Outcome, r.found(), c.outcome, c.found)
		}
	}
}
