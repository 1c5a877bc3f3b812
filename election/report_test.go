package election

import (
	"slices"
	"testing"

	"github.com/arc-ring/arc/ring"
)

// A stall of the process lets the lease run out in the same turn in which the
// answers that prolong it are read: there was no moment without a lease, and
// nothing is told. A loss that stays, or another term's gain, is.
func TestABlinkOfTheClaimIsNotReported(t *testing.T) {
	lost, got := ClaimChanged{Term: 1}, ClaimChanged{Claiming: true, Term: 1}
	first := ClaimChanged{Claiming: true, Term: 1, Phases: ring.Phases{FirstClaim: 1}}
	other := ClaimChanged{Claiming: true, Term: 2}
	for name, tt := range map[string]struct{ changes, want []ClaimChanged }{
		"a blink":              {[]ClaimChanged{lost, got}, nil},
		"two":                  {[]ClaimChanged{lost, got, lost, got}, nil},
		"a loss after a blink": {[]ClaimChanged{lost, got, lost}, []ClaimChanged{lost}},
		"a loss":               {[]ClaimChanged{lost}, []ClaimChanged{lost}},
		"a gain, and a blink":  {[]ClaimChanged{first, lost, got}, []ClaimChanged{first}},
		"a gain and its loss":  {[]ClaimChanged{got, lost}, []ClaimChanged{got, lost}},
		"another term's gain":  {[]ClaimChanged{lost, other}, []ClaimChanged{lost, other}},
	} {
		n := assemble(Config{}, &ring.State{}, 0)
		for _, c := range tt.changes {
			n.emit(Probe{}) // what else a turn leads to
			n.leadership.reportClaim(c)
		}
		var reported []ClaimChanged
		for _, e := range n.effects {
			if c, ok := e.(ClaimChanged); ok {
				reported = append(reported, c)
			}
		}
		if !slices.Equal(reported, tt.want) {
			t.Errorf("%s: reported %+v, want %+v", name, reported, tt.want)
		}
		if others := len(n.effects) - len(reported); others != len(tt.changes) {
			t.Errorf("%s: %d other effects, want %d", name, others, len(tt.changes))
		}
	}
}

// A link is urgent if the monitor has other work by it.
func TestWhichLinksAreUrgent(t *testing.T) {
	member := func(id uint64, name string) ring.Member {
		return ring.Member{ID: id, Name: name, Incarnation: 10 + id, Addresses: []string{"192.0.2.1:7400"}}
	}
	base := func() *Relink {
		return &Relink{Epoch: 5, Term: 3, LeaderID: 4, Self: member(1, "a"), Successors: []ring.Member{member(2, "b"), member(3, "c"), member(4, "d")},
			Tell: []ring.Member{member(4, "d")}, Settings: ring.Settings{LeaderIntervalMS: 10, LeaderMisses: 3, IntervalMS: 50, Misses: 4}}
	}
	for name, c := range map[string]struct {
		change func(*Relink)
		same   bool
	}{
		"another leader":             {func(r *Relink) { r.LeaderID, r.Term = 3, 4 }, true},
		"another after the next":     {func(r *Relink) { r.Successors = r.Successors[:2] }, true},
		"others to tell":             {func(r *Relink) { r.Tell = nil }, true},
		"another lease":              {func(r *Relink) { r.Settings.LeaseMS++ }, true},
		"another successor":          {func(r *Relink) { r.Successors = r.Successors[1:] }, false},
		"the successor came back":    {func(r *Relink) { r.Successors[0].Incarnation++ }, false},
		"the successor moved":        {func(r *Relink) { r.Successors[0].Addresses = nil }, false},
		"the successor leads":        {func(r *Relink) { r.LeaderID = 2 }, false},
		"nobody to probe":            {func(r *Relink) { r.Successors = nil }, false},
		"another timing":             {func(r *Relink) { r.Settings.Misses++ }, false},
		"another incarnation of one": {func(r *Relink) { r.Self.Incarnation++ }, false},
	} {
		next := base()
		next.Epoch++
		c.change(next)
		if got := next.sameDuty(base()); got != c.same {
			t.Errorf("%s: the same duty is %v, want %v", name, got, c.same)
		}
	}
}
