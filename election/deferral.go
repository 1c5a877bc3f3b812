package election

import (
	"cmp"
	"slices"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

// Deferral decides when the owner of a Node carries out its effects. Right after
// another member has declared itself, it holds back those that nobody waits for.
//
// A member that has told its subscribers who leads still owes a write to its disk
// and an answer to the leader, which decides nothing any more. Where many
// members share a processor, as virtual machines do, this work would keep the
// others from telling theirs. And the leader would read answers while it still
// has members to tell.
//
// Right after a declaration all that nobody waits for follows from what is
// committed. An append or a vote that comes before the deferral is over waits with
// it, as if the disk were so much slower.
//
// The order of effects never changes: all that is held back goes before what
// ends the deferral. A process that ends loses what is held back, as it loses a
// write that was under way.
type Deferral struct {
	id   uint64
	term uint64
	// effects are held back until then.
	effects []Effect
	until   Instant
}

// NewDeferral returns the deferral of member id, whose Node was just made with
// the state s.
func NewDeferral(id uint64, s *ring.State) Deferral { return Deferral{id: id, term: s.Term} }

// Turn takes the effects of a turn and returns those to carry out now, in
// order. The state s and leaderUntil are the Node's after the turn.
func (d *Deferral) Turn(now Instant, s *ring.State, leaderUntil Instant, effects []Effect) (due []Effect) {
	if now >= d.until {
		due, d.effects, d.until = d.effects, nil, 0 // also if another deferral begins
	}
	_, member := s.Member(s.LeaderID)
	if d.term != 0 && s.Term > d.term && member && s.LeaderID != d.id && now < leaderUntil && now >= d.until {
		d.until = now.Add(durations.Deferral)
	}
	d.term = s.Term
	if now < d.until && !slices.ContainsFunc(effects, Effect.Awaited) {
		d.effects = append(d.effects, effects...)
		return due
	}
	if waited := append(due, d.effects...); len(waited) > 0 {
		effects = append(waited, effects...)
	}
	d.effects, d.until = nil, 0
	return effects
}

// Ends returns when the owner has to make a turn although nothing else happens;
// Never if nothing may be held back.
func (d *Deferral) Ends() Instant { return cmp.Or(d.until, Never) }
