package membership

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
)

// Source is from where a joiner knows a place.
type Source int

const (
	// Named: the operator gave the address.
	Named Source = iota
	// Former: a member of the ring that the node was in had the address.
	Former
	// Heard: discovery heard of the address.
	Heard
)

// Venue is where somebody may admit a joiner.
type Venue struct {
	Addresses []string
	Source    Source
}

// Addresses are the venues of a joiner that was given addresses, or that knows those
// of the members of its former ring.
func Addresses(named, former []string) (all []Venue) {
	for i, a := range slices.Concat(named, former) {
		source := Named
		if i >= len(named) {
			source = Former
		}
		all = append(all, Venue{alone(a), source})
	}
	return all
}

// Found are the venues of a joiner whose discovery heard of a ring: where its leader
// is, and where the member is that told of it. Both may be unknown.
func Found(leader, teller []string) (all []Venue) {
	for _, addresses := range [][]string{leader, teller} {
		if len(addresses) > 0 {
			all = append(all, Venue{addresses, Heard})
		}
	}
	return all
}

// Refusal is why a joiner was not admitted.
type Refusal int

const (
	// NotNow: nobody answered, or the answer may be another one soon.
	NotNow Refusal = iota
	// Own: the address leads to the joiner itself.
	Own
	// Elsewhere: who answers cannot admit it, as a member of another ring.
	Elsewhere
	// Never: no repetition changes the answer.
	Never
)

// Final reports whether a refusal there ends the search. An address that nobody
// gave may have passed to another ring's member.
func (v Venue) Final(r Refusal) bool {
	return r == Never || r == Elsewhere && v.Source == Named
}

// Expected reports whether a refusal there tells an operator nothing: a former
// member may have an address of this node too, as container bridges do.
func (v Venue) Expected(r Refusal) bool { return r == Own && v.Source == Former }

// Search is whom a joiner asks, in turn, and when. It goes round by round, and
// the pauses between them grow.
type Search struct {
	venues []Venue
	next   int
	rounds int
}

// Begin begins the next round.
func (s *Search) Begin(venues []Venue) {
	s.venues, s.next = venues, 0
	s.rounds++
}

// Next returns whom to ask next. ok is false when the round is over: the next one
// begins after Pause.
func (s *Search) Next() (v Venue, ok bool) {
	if s.next == len(s.venues) {
		return Venue{}, false
	}
	s.next++
	return s.venues[s.next-1], true
}

// Pause is how long to wait after this round.
func (s *Search) Pause() time.Duration { return durations.JoinAgain.Pause(s.rounds) }

// Left are those who will still be asked in this round.
func (s *Search) Left() []Venue { return s.venues[s.next:] }
