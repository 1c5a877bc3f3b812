package election

import (
	"fmt"
	"slices"

	"github.com/arc-ring/arc/ring"
)

type proposal struct {
	ref uint64 // ring.Command.Ref
	key proposalKey
	req uint64 // Request.Ref; 0 if own
}

// proposals are the commands of this leader that are under way.
type proposals struct {
	*replica
	refs uint64     // the newest Ref
	open []proposal // in the order of their refs
}

// proposalKey names a proposal of this node's own, of which one at a time is
// under way.
type proposalKey struct {
	kind string
	id   uint64
}

// end drops them with the leadership, and ends the requests behind them. What was
// proposed may or may not take effect.
func (ps *proposals) end() {
	for _, p := range ps.open {
		if p.req != 0 {
			ps.emit(Done{Ref: p.req, Err: ErrLeadershipLost})
		}
	}
	*ps = proposals{replica: ps.replica}
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
	p.ref = c.Ref
	ps.open = append(ps.open, p)
	return true
}

// proposeOnce proposes unless the same is under way.
func (ps *proposals) proposeOnce(key proposalKey, c ring.Command) {
	if !ps.underWay(key) {
		ps.propose(proposal{key: key}, c)
	}
}

// underWay reports whether a proposal of this node's own is in the log and not applied.
func (ps *proposals) underWay(key proposalKey) bool {
	return slices.ContainsFunc(ps.open, func(p proposal) bool { return p.key == key })
}

// take returns the proposal with this ref, which has been applied.
func (ps *proposals) take(ref uint64) (p proposal, ok bool) {
	i := slices.IndexFunc(ps.open, func(p proposal) bool { return p.ref == ref })
	if i < 0 {
		return p, false
	}
	p = ps.open[i]
	ps.open = slices.Delete(ps.open, i, i+1)
	return p, true
}
