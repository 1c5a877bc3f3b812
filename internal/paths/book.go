package paths

import (
	"math/bits"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
)

const (
	// checksKept is how many of a path's last checks count, and checksMissed how many of
	// them make it down.
	checksKept   = 8
	checksMissed = 2
)

// Network is one of this machine's networks.
type Network struct {
	// Card is the interface. To an operator its failure is one thing, so all networks of
	// a card are told of together.
	Card string
	// Name is the network as ADDRESS/BITS.
	Name string
}

// Peer is the member that a path leads to.
type Peer struct {
	ID   uint64
	Name string
}

// Path is a way to a peer.
type Path struct {
	Peer    Peer
	Address string
}

// Outcome is what became of a check.
type Outcome uint8

const (
	// Unchecked: nothing was sent, since the peer is tried at all its addresses.
	Unchecked Outcome = iota
	// Missed: it was not acknowledged, or there is no stream.
	Missed
	// Good: it was acknowledged.
	Good
	// Elsewhere: not the peer but somebody else answers at the address.
	Elsewhere
)

// Check is what became of one check of a path.
type Check struct {
	Path
	// On is the network that the path's stream comes from, or the last one came from; the
	// zero value if none stood since the address led elsewhere.
	On      Network
	Outcome Outcome
}

// Book judges all paths by what becomes of their checks. A check goes over all paths
// to a peer at the same time. If it is acknowledged on none, that says nothing of a
// path: the peer may have stopped. A path counts once a stream stood. The zero value is
// ready for use.
type Book struct {
	paths []*health
}

// health is what is known of one path.
type health struct {
	Path
	// on is the network of the newest good check: of one that is dead the interface may
	// not be known any more. It stays what it was while the path is told as down, so that
	// one network has both words.
	on Network
	// missed are the last checks, the newest in the lowest bit, and clean is since when
	// none was missed.
	missed uint8
	clean  mono.Instant
	// down: too many of the last checks were missed. It is up again when none is missed
	// for a while.
	down bool
	// gone: nobody looks at the path any more.
	gone bool
	// told is what was last reported, and waits counts the passes since it is another.
	told  bool
	waits int
	// doubted: the newest pass judged it, and shows neither that it is as it was told
	// nor that it is not.
	doubted bool
}

// Pass takes the checks of one pass. They are of all paths that are of any use to peers
// that have several. It returns what is new and the time until the next pass, which is
// short while a path is in doubt.
func (b *Book) Pass(now mono.Instant, checks []Check) (news []News, pause time.Duration) {
	b.forget(checks)
	for _, c := range checks {
		vouched := slices.ContainsFunc(checks, func(o Check) bool { return o.Peer.ID == c.Peer.ID && o.Outcome == Good })
		if h := b.find(c); h != nil && vouched && c.Outcome != Unchecked {
			h.judge(now, c)
		}
	}
	pause = durations.PathCheck
	for _, h := range b.paths {
		if h.news() == 0 {
			h.waits = 0
		} else {
			h.waits++
		}
		if h.news() != 0 || h.doubted {
			pause = durations.PathDoubted
		}
	}
	return b.tell(), pause
}

// forget drops the paths that are not checked any more. One that was told as down is
// kept until that has its end; it may be back before.
func (b *Book) forget(checks []Check) {
	b.paths = slices.DeleteFunc(b.paths, func(h *health) bool {
		h.gone = !slices.ContainsFunc(checks, func(c Check) bool { return h.is(c.Peer.ID, c.Address) && c.Outcome != Elsewhere })
		h.doubted = false
		return h.gone && !h.told
	})
}

// find returns what is known of a path, nil if no stream ever stood.
func (b *Book) find(c Check) *health {
	i := slices.IndexFunc(b.paths, func(h *health) bool { return h.is(c.Peer.ID, c.Address) })
	switch {
	case i >= 0:
		return b.paths[i]
	case c.On == Network{}:
		return nil
	}
	h := &health{Path: c.Path, on: c.On}
	b.paths = append(b.paths, h)
	return h
}

func (h *health) is(peer uint64, address string) bool {
	return h.Peer.ID == peer && h.Address == address
}

func (h *health) judge(now mono.Instant, c Check) {
	if h.gone {
		return
	}
	h.Path = c.Path // the peer may have another name
	h.missed = h.missed << 1 & (1<<checksKept - 1)
	switch {
	case c.Outcome != Good:
		h.missed |= 1
		h.clean = 0
		h.down = h.down || bits.OnesCount8(h.missed) >= checksMissed
	case h.clean == 0:
		h.clean = now
	}
	if h.down && h.clean != 0 && now.Sub(h.clean) >= durations.PathClean {
		h.down = false
	}
	if c.Outcome == Good && !h.told {
		h.on = c.On
	}
	h.doubted = h.down && h.clean != 0 || !h.down && h.missed != 0
}

// IsDown reports whether the path is down.
func (b *Book) IsDown(p Path) bool {
	return slices.ContainsFunc(b.paths, func(h *health) bool { return h.down && h.is(p.Peer.ID, p.Address) })
}
