package membership

import (
	"slices"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
)

func TestWhichAddressesAreTold(t *testing.T) {
	list := func(a ...string) []string { return a }
	for name, c := range map[string]struct {
		told, present, want []string
		missing             time.Duration
	}{
		"nothing changed":                       {list("a"), list("a"), list("a"), 0},
		"the first one comes":                   {nil, list("a"), list("a"), 0},
		"another one comes":                     {list("a"), list("a", "b"), list("a", "b"), 0},
		"one takes the place of another":        {list("a"), list("b"), list("b"), 0},
		"an interface goes down for a moment":   {list("a", "b"), list("a"), list("a", "b"), time.Second},
		"and for long":                          {list("a", "b"), list("a"), list("a"), durations.AddressGone},
		"all are gone":                          {list("a"), nil, list("a"), time.Hour},
		"one is gone for a moment, another new": {list("a", "b"), list("a", "c"), list("a", "c"), 0},
	} {
		p := Place{Told: c.told}
		for _, at := range []time.Duration{0, c.missing} {
			was := p.Told
			if changed, redial, _ := p.Look(mono.Instant(time.Hour).Add(at), c.present); changed == slices.Equal(p.Told, was) || changed && !redial {
				t.Errorf("%s: from %v to %v: changed %v, redial %v", name, was, p.Told, changed, redial)
			}
		}
		if !slices.Equal(p.Told, c.want) {
			t.Errorf("%s: told %v, present %v for %v: %v, want %v", name, c.told, c.present, c.missing, p.Told, c.want)
		}
	}
}

// A node looks again when what is gone has been so for long enough, and dials
// again at most so often.
func TestWhenAddressesAreLookedAtAgain(t *testing.T) {
	p, at := Place{Told: []string{"a", "b"}}, mono.Instant(time.Hour)
	for i, c := range []struct {
		after   time.Duration
		present []string
		redial  bool
		again   time.Duration
	}{
		{0, []string{"a", "b"}, true, 0},
		{durations.RedialPause / 2, []string{"a", "b"}, false, durations.RedialPause},
		{durations.RedialPause, []string{"a"}, true, durations.AddressGone},
		{durations.RedialPause + time.Second, nil, durations.RedialPause <= time.Second, 0},
		{durations.RedialPause + durations.AddressGone, []string{"a"}, true, time.Millisecond},
		{3 * (durations.RedialPause + durations.AddressGone), []string{"a"}, true, 0},
	} {
		_, redial, again := p.Look(at.Add(c.after), c.present)
		if redial != c.redial || again != c.again {
			t.Errorf("%d: redials %v, looks again after %v; want %v, %v", i, redial, again, c.redial, c.again)
		}
	}
}
