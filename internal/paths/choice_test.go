package paths

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/limits"
)

// way is a path as a table says it: its round trip, and whether it stands and is down.
type way struct {
	name         string
	delay        time.Duration
	stands, down bool
}

func (w way) Stands() bool         { return w.stands }
func (w way) Down() bool           { return w.down }
func (w way) Delay() time.Duration { return w.delay }

// ways reads, for example, "3 5! -": two that stand, with their delays, of which one is
// down, and one that does not stand.
func ways(text string) (all []way) {
	for i, s := range strings.Fields(text) {
		w := way{name: fmt.Sprint(i), stands: s != "-", down: strings.HasSuffix(s, "!")}
		_, _ = fmt.Sscan(strings.TrimSuffix(s, "!"), (*int64)(&w.delay))
		all = append(all, w)
	}
	return all
}

func names(all []way) string {
	var out []string
	for _, w := range all {
		out = append(out, w.name)
	}
	return strings.Join(out, " ")
}

func TestChoose(t *testing.T) {
	for _, c := range []struct{ ways, small, large string }{
		{"3", "0", "0"},
		{"-", "0", "0"},
		{"3 2", "0 1", "1"},
		{"2 2", "0 1", "0"},
		{"3 2!", "0 1", "0"},
		{"3! 2!", "0 1", "1"},
		{"2! 3", "0 1", "1"},
		{"- 2", "1", "1"},
		{"- 2!", "1", "1"},
		{"- -", "0 1", "0 1"},
		{"5 - 4 3!", "0 2 3", "2"},
		{"5! - 4! -", "0 2", "2"},
	} {
		for size, want := range map[int]string{1: c.small, limits.SmallMessage: c.small, limits.SmallMessage + 1: c.large} {
			if got := names(Choose(ways(c.ways), size)); got != want {
				t.Errorf("of %q, %d bytes take %q, want %q", c.ways, size, got, want)
			}
		}
	}
}

func TestLay(t *testing.T) {
	many := strings.Fields("a b c d e f")
	for _, c := range []struct {
		addresses []string
		reached   bool
		want      []string
	}{
		{nil, true, nil}, {many[:1], true, nil}, {many[:2], true, many[:2]}, {many[:2], false, nil}, {many, true, many[:limits.Paths]},
	} {
		if got := Lay(c.addresses, c.reached); !slices.Equal(got, c.want) {
			t.Errorf("of %q, reached %v: paths to %q, want %q", c.addresses, c.reached, got, c.want)
		}
	}
}

// A path that does not stand, and one that is down, keep no other one from being looked
// at with a whole segment. None is, while no other one can vouch for the peer.
func TestWhole(t *testing.T) {
	for _, c := range []struct {
		ways string
		want []string
	}{
		{"3 2", []string{"0", "1", "0", "1"}},
		{"3 2!", []string{"1", "1"}},
		{"3 -", []string{"", ""}},
		{"3! 2!", []string{"0 1", "0 1"}},
		{"3 2 -", []string{"0", "1", "0"}},
		{"3 2! 4", []string{"1 0", "1 2", "1 0"}},
		{"3 - 4! 5", []string{"2 0", "2 3"}},
	} {
		for round, want := range c.want {
			if got := names(Whole(round, ways(c.ways))); got != want {
				t.Errorf("of %q, round %d looks at %q, want %q", c.ways, round, got, want)
			}
		}
	}
}
