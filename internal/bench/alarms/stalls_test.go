package alarms

import (
	"fmt"
	"math"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func after(ms float64) time.Time {
	return noon.Add(time.Duration(ms * float64(time.Millisecond)))
}

func TestAnAlarmIsBesideAStall(t *testing.T) {
	// One from 100 to 110, and one that it hides in.
	s := &Stalls{List: []Stall{{1, after(106), 3}, {0, after(110), 10}}}
	const reach = 8 * time.Millisecond
	for _, c := range []struct{ at, want float64 }{
		{94.9, 0}, {95, 10}, {100, 10}, {105, 10}, {110, 10}, {118, 10}, {118.1, 0},
	} {
		if got := s.beside(after(c.at), reach); got != c.want {
			t.Errorf("an alarm at %v ms is beside a stall of %v ms, want %v", c.at, got, c.want)
		}
	}
	if got := s.beside(after(130), 20*time.Millisecond); got != 10 {
		t.Errorf("with a longer reach %v, want 10", got)
	}
	if got := (&Stalls{}).beside(noon, reach); got != 0 {
		t.Errorf("without any stall %v", got)
	}
}

// The share is what the same rule says about each moment.
func TestShareOfTheTimeBesideAStall(t *testing.T) {
	const reach = 8 * time.Millisecond
	began, ended := after(0), after(1000)
	for name, c := range map[string]struct {
		list []Stall
		want float64
	}{
		"none":              {nil, 0},
		"one":               {[]Stall{{0, after(110), 10}}, 0.023},
		"on two processors": {[]Stall{{0, after(110), 10}, {1, after(111), 10}}, 0.024},
		"a short in a long": {[]Stall{{1, after(105), 2}, {0, after(150), 50}}, 0.063},
		"two apart":         {[]Stall{{0, after(110), 10}, {0, after(510), 10}}, 0.046},
		"over the edges":    {[]Stall{{0, after(-4), 10}, {0, after(1020), 25}}, 0.004 + 0.010},
		"outside":           {[]Stall{{0, after(-20), 10}, {0, after(1020), 10}}, 0},
		"all the time":      {[]Stall{{0, after(2000), 3000}}, 1},
	} {
		s := &Stalls{List: c.list}
		got := s.share(began, ended, reach)
		if math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		const steps = 10_000
		hits := 0
		for i := range steps {
			if s.beside(after((float64(i)+0.5)/10), reach) > 0 {
				hits++
			}
		}
		if counted := float64(hits) / steps; math.Abs(got-counted) > 1e-3 {
			t.Errorf("%s: %v, but of %d moments %v are beside a stall", name, got, steps, counted)
		}
	}
	if got := (&Stalls{List: []Stall{{0, after(1), 10}}}).share(noon, noon, reach); got != 0 {
		t.Errorf("of no time at all %v", got)
	}
}

func TestAlarmsTellOfTheirStalls(t *testing.T) {
	s := &Stalls{List: []Stall{{0, after(110), 12.4}}}
	alarms := []Alarm{{At: after(112), What: "n2 evicted"}, {At: after(300), What: "n3 evicted"}, {What: "n4 evicted"}}
	if n := s.compare(alarms, 8*time.Millisecond); n != 1 {
		t.Errorf("%d are beside a stall, want 1", n)
	}
	got := fmt.Sprint(alarms)
	if want := "[n2 evicted (beside a stall of 12.4 ms) n3 evicted n4 evicted]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// What did not say when it happened is beside nothing, even if everything is.
	s.List = []Stall{{0, time.Time{}, 10}}
	if n := s.compare(alarms[2:], time.Hour); n != 0 || alarms[2].StallMS != 0 {
		t.Errorf("an alarm without a moment: %v", alarms[2])
	}
}

func TestStolenTime(t *testing.T) {
	for stat, want := range map[string]time.Duration{
		"cpu  2 1 3 4 5 6 7 42 0 0\ncpu0 1 1 1 1": 420 * time.Millisecond,
		"cpu  2 1 3 4\n": 0,
		"":               0,
	} {
		if got := parseStolen(stat); got != want {
			t.Errorf("of %q %v, want %v", stat, got, want)
		}
	}
}
