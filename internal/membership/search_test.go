package membership

import (
	"fmt"
	"testing"
	"time"
)

func TestAJoinerAsksInTurnAndEverMoreRarely(t *testing.T) {
	var s Search
	var asked string
	var pauses []time.Duration
	for range 6 {
		s.Begin(Addresses([]string{"a", "b"}, []string{"c"}))
		for v, ok := s.Next(); ok; v, ok = s.Next() {
			asked += fmt.Sprint(v.Addresses, v.Source, len(s.Left()), " ")
		}
		pauses = append(pauses, s.Pause())
	}
	const round = "[a] 0 2 [b] 0 1 [c] 1 0 "
	if want := round + round + round + round + round + round; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
	const ms = time.Millisecond
	if got, want := fmt.Sprint(pauses), fmt.Sprint([]time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 500 * ms, 500 * ms}); got != want {
		t.Errorf("pauses %s, want %s", got, want)
	}
	if v, ok := s.Next(); ok {
		t.Errorf("after the round %v is asked", v)
	}
}

func TestADiscoveredRingIsAskedWhereItIsKnown(t *testing.T) {
	for _, c := range []struct {
		leader, teller []string
		want           string
	}{
		{nil, nil, "[]"},
		{[]string{"a", "b"}, nil, "[{[a b] 2}]"},
		{nil, []string{"c"}, "[{[c] 2}]"},
		{[]string{"a"}, []string{"c"}, "[{[a] 2} {[c] 2}]"},
	} {
		if got := fmt.Sprint(Found(c.leader, c.teller)); got != c.want {
			t.Errorf("leader at %v, told by %v: asks %s, want %s", c.leader, c.teller, got, c.want)
		}
	}
}

// What a refusal means depends on who gave the address.
func TestWhatEndsASearch(t *testing.T) {
	type verdict struct{ final, expected bool }
	want := map[Source]map[Refusal]verdict{
		Named:  {NotNow: {}, Own: {}, Elsewhere: {final: true}, Never: {final: true}},
		Former: {NotNow: {}, Own: {expected: true}, Elsewhere: {}, Never: {final: true}},
		Heard:  {NotNow: {}, Own: {}, Elsewhere: {}, Never: {final: true}},
	}
	for source, by := range want {
		for r, w := range by {
			v := Venue{Addresses: []string{"a"}, Source: source}
			if got := (verdict{v.Final(r), v.Expected(r)}); got != w {
				t.Errorf("source %d, refusal %d: %+v, want %+v", source, r, got, w)
			}
		}
	}
}
