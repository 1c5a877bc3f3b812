package devring

import (
	"strings"
	"testing"
	"time"
)

// Both medians are over the same failovers, so that they can be compared.
func TestMediansAreOverTheSameFailovers(t *testing.T) {
	took := func(elsewhere, claim time.Duration) Failover {
		return Failover{Elsewhere: elsewhere * time.Millisecond, Claim: claim * time.Millisecond}
	}
	for _, c := range []struct {
		name  string
		took  []Failover
		times string
	}{
		{"none", nil, ""},
		{"of two", []Failover{took(0, 7)}, "1 failover; median from kill -9 until claimed 7.0 ms\n"},
		{"all seen", []Failover{took(8, 9), took(10, 11)}, "2 failovers; median from kill -9 until seen at a third node 9.0 ms, until claimed 10.0 ms\n"},
		{"the last two alone", []Failover{took(8, 9), took(0, 1), took(10, 11), took(0, 1)},
			"4 failovers; of the 2 that a third node saw, median from kill -9 until seen there 9.0 ms, until claimed 10.0 ms\n"},
	} {
		var b strings.Builder
		if err := (Verdict{Failovers: c.took}).Summary(&b, 1); err != nil || !strings.HasPrefix(b.String(), c.times+"held    G1") {
			t.Errorf("%s: %v, %q; want %q", c.name, err, b.String(), c.times)
		}
	}
}

func TestOneLeadershipIsOne(t *testing.T) {
	for n, want := range map[int]string{0: "0 leaderships", 1: "1 leadership", 2: "2 leaderships"} {
		if got := Count(n, "leadership"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
