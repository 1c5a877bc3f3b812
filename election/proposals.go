package election

import (
	"fmt"

	"github.com/arc-ring/arc/ring"
)

type proposal struct {
	key proposalKey
	req uint64 // Request.Ref; 0 if own
	id  uint64 // member the request is about
}

// proposals are the commands of this leader that are under way.
type proposals struct {
	*replica
	refs     uint64
	open     map[uint64]proposal    // by Ref
	inFlight map[proposalKey]uint64 // what must not be proposed twice
}

// proposalKey names a proposal of this node's own, of which one at a time is
// under way.
type proposalKey struct {
	kind string
	id   uint64
}

// begin drops all that belongs to an earlier leadership.
func (ps *proposals) begin() {
	*ps = proposals{replica: ps.replica, open: map[uint64]proposal{}, inFlight: map[proposalKey]uint64{}}
}

// end ends the requests behind them. What was proposed may or may not take effect.
func (ps *proposals) end() {
	for ref := uint64(1); ref <= ps.refs; ref++ { // in order, for the sake of replays
		if p, ok := ps.open[ref]; ok && p.req != 0 {
			ps.emit(Done{Ref: p.req, Err: ErrLeadershipLost})
		}
	}
	ps.begin()
}

// propose puts a command into the log. Its fate comes back in proposalApplied,
// or in stepDown.
func (ps *proposals) propose(p proposal, c ring.Command) bool {
	switch {
	case c.Evict != nil && c.Evict.At == 0:
		c.Evict.At = ps.cfg.Wall()
	case c.Leave != nil && c.Leave.At == 0:
		c.Leave.At = ps.cfg.Wall()
	}
	ps.refs++
	c.Ref = ps.refs
	if err := ps.appendCommand(c.Encode()); err != nil {
		if p.req != 0 {
			ps.emit(Done{Ref: p.req, Err: fmt.Errorf("%w: %w", ErrBusy, err)})
		}
		return false
	}
	ps.open[c.Ref] = p
	if p.key != (proposalKey{}) {
		ps.inFlight[p.key] = c.Ref
	}
	return true
}

// proposeOnce proposes unless the same is under way.
func (ps *proposals) proposeOnce(key proposalKey, c ring.Command) {
	if ps.inFlight[key] == 0 {
		ps.propose(proposal{key: key}, c)
	}
}
