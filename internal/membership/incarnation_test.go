package membership

import (
	"slices"
	"testing"

	"github.com/arc-ring/arc/election"
)

func TestNextIncarnation(t *testing.T) {
	now := uint64(1000 << 22)
	for name, c := range map[string]struct {
		earlier []uint64
		want    uint64
	}{
		"the first":              {nil, now},
		"after others":           {[]uint64{now - 5, now - 9}, now},
		"the clock was set back": {[]uint64{now + 7, now - 9}, now + 8},
		"and forth before":       {[]uint64{now - 9, now + 7}, now + 8},
	} {
		inc, kept := NextIncarnation(1000, 0, c.earlier)
		if inc != c.want || !slices.Equal(kept, append([]uint64{c.want}, c.earlier...)) {
			t.Errorf("%s: %x, to keep %x; want %x", name, inc, kept, c.want)
		}
	}
	if _, kept := NextIncarnation(1000, 0, make([]uint64, election.FormerKept)); len(kept) != election.FormerKept {
		t.Errorf("%d incarnations are kept, want %d", len(kept), election.FormerKept)
	}
}
