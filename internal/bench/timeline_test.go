package bench

import (
	"testing"
	"time"
)

// at is a timeline whose clock stands at the last given millisecond.
type at struct {
	*Timeline
	t time.Time
}

func newAt() *at {
	a := &at{t: time.Unix(0, 0)}
	a.Timeline = NewTimeline(func() time.Time { return a.t })
	return a
}

func (a *at) ms(n int) *at { a.t = moment(n); return a }

func moment(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }

func TestKnown(t *testing.T) {
	survivors := []int{2, 3}
	all := func(a *at) {
		for h := 1; h <= 3; h++ {
			a.See(h, 1)
		}
	}
	for name, c := range map[string]struct {
		story       func(a *at)
		ok          bool
		first, last int
	}{
		"both turn to the next":    {func(a *at) { a.ms(10).See(2, 2); a.ms(14).See(3, 2) }, true, 10, 14},
		"through knowing nobody":   {func(a *at) { a.ms(5).See(3, 0); a.ms(10).See(2, 2); a.ms(30).See(3, 2) }, true, 10, 30},
		"one has not heard":        {func(a *at) { a.ms(10).See(2, 2) }, false, 0, 0},
		"they disagree":            {func(a *at) { a.ms(10).See(2, 2); a.ms(11).See(3, 3) }, false, 0, 0},
		"two took it, one yielded": {func(a *at) { a.ms(10).See(2, 2); a.ms(11).See(3, 3); a.ms(20).See(2, 3) }, true, 11, 20},
		"nobody knows any":         {func(a *at) { a.ms(10).See(2, 0); a.ms(11).See(3, 0) }, false, 0, 0},
		"they stay with it":        {func(a *at) {}, false, 0, 0},
		"back and forth":           {func(a *at) { a.ms(10).See(2, 2); a.ms(11).See(2, 0); a.ms(15).See(2, 2); a.ms(16).See(3, 2) }, true, 10, 16},
		"the victim's view":        {func(a *at) { a.ms(8).See(1, 2); a.ms(10).See(2, 2); a.ms(14).See(3, 2); a.ms(90).See(1, 3) }, true, 10, 14},
		"what was before the cut":  {func(a *at) { a.ms(1).See(2, 2); a.ms(2).See(2, 1); a.ms(10).See(2, 2); a.ms(14).See(3, 2) }, true, 10, 14},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAt()
			all(a)
			c.story(a)
			first, last, _, ok := a.Known(moment(3), survivors, 1)
			if ok != c.ok {
				t.Fatalf("known is %v, want %v", ok, c.ok)
			}
			if ok && (!first.Equal(moment(c.first)) || !last.Equal(moment(c.last))) {
				t.Errorf("first after %v, last after %v, want %d and %d ms", first.Sub(moment(0)), last.Sub(moment(0)), c.first, c.last)
			}
		})
	}
}

func TestOverlap(t *testing.T) {
	for name, c := range map[string]struct {
		story func(a *at)
		want  int
	}{
		"none":                   {func(a *at) { a.ms(0).Act(1, true); a.ms(20).Act(1, false); a.ms(30).Act(2, true) }, 0},
		"for a while":            {func(a *at) { a.ms(0).Act(1, true); a.ms(20).Act(2, true); a.ms(26).Act(1, false) }, 6},
		"to the end":             {func(a *at) { a.ms(0).Act(1, true); a.ms(60).Act(2, true) }, 40},
		"three count once":       {func(a *at) { a.ms(0).Act(1, true); a.ms(60).Act(2, true); a.ms(70).Act(3, true) }, 40},
		"before the cut is not":  {func(a *at) { a.ms(0).Act(1, true); a.ms(5).Act(2, true); a.ms(8).Act(2, false) }, 0},
		"after the heal neither": {func(a *at) { a.ms(0).Act(1, true); a.ms(110).Act(2, true); a.ms(120).Act(1, false) }, 0},
		"twice": {func(a *at) {
			a.ms(0).Act(1, true)
			a.ms(20).Act(2, true)
			a.ms(25).Act(2, false)
			a.ms(50).Act(2, true)
			a.ms(57).Act(1, false)
		}, 12},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAt()
			c.story(a)
			a.ms(10).Forget(moment(10)) // must change nothing
			if got, want := a.Overlap(moment(10), moment(100)), time.Duration(c.want)*time.Millisecond; got != want {
				t.Errorf("two leaders for %v, want %v", got, want)
			}
		})
	}
}

func TestForgetKeepsBeliefs(t *testing.T) {
	a := newAt()
	a.ms(1).See(1, 1)
	a.ms(2).See(2, 1)
	a.Act(1, true)
	a.Forget(moment(50))
	if got := a.Agreed([]int{1, 2}); got != 1 {
		t.Errorf("they agree on %d, want 1", got)
	}
	if got := a.Acting(); len(got) != 1 || got[0] != 1 {
		t.Errorf("acting are %v, want 1 alone", got)
	}
	if len(a.entries) != 1 {
		t.Errorf("%d entries are kept, want 1", len(a.entries))
	}
}
