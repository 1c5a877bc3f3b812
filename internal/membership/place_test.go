package membership

import (
	"slices"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/durations"
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
		if got := Tell(c.told, c.present, c.missing); !slices.Equal(got, c.want) {
			t.Errorf("%s: told %v, present %v for %v: %v, want %v", name, c.told, c.present, c.missing, got, c.want)
		}
	}
}
