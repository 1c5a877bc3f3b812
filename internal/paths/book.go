package paths

import (
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
)

const (
	// checksKept is how many of a path's last checks count, and checksMissed how many of
	// them make it down.
	checksKept   = 5
	checksMissed = 2
	// newsWaits is for how many passes the news that a path is down or up waits for
	// others of the same network that may follow. moreWaits is the same for one that is
	// down once a path of that network is told as down.
	newsWaits = 12
	moreWaits = 120
)

// News says that paths over one of this machine's networks are down, or up again.
type News struct {
	// Local is this machine's address on the network.
	Local netip.Addr
	Up    bool
	// Peers are those that the paths lead to, by id.
	Peers []uint64
}

// Check is what became of one check of a path: the one to a peer at an address.
type Check struct {
	Peer    uint64
	Address string
	// Local is this machine's end; invalid if no stream ever stood.
	Local netip.Addr
	Good  bool
}

// Book judges all paths by what becomes of their checks. A check goes over all paths
// to a peer at the same time. If it is acknowledged on none, that says nothing of a
// path: the peer may have stopped. The zero value is ready for use.
type Book struct {
	paths []*health
}

// health is what is known of one path.
type health struct {
	Check // the newest
	// missed are the last checks, the newest in the lowest bit, and clean is since when
	// none was missed.
	missed uint8
	clean  mono.Instant
	// down: too many of the last checks were missed. It is up again when none is missed
	// for a while.
	down bool
	// told is what was last reported, and waits counts the passes since it is another.
	told  bool
	waits int
}

// Pass takes the checks of one pass over all peers. It returns what is new and the time
// until the next pass, which is short while a path is in doubt. Paths that are not among
// the checked are forgotten.
func (b *Book) Pass(now mono.Instant, checks []Check) (news []News, pause time.Duration) {
	b.paths = slices.DeleteFunc(b.paths, func(h *health) bool {
		return !slices.ContainsFunc(checks, func(c Check) bool { return h.leads(c.Peer, c.Address) })
	})
	for _, c := range checks {
		if !slices.ContainsFunc(checks, func(o Check) bool { return o.Peer == c.Peer && o.Good }) {
			continue
		}
		if h := b.find(c); h != nil {
			h.judge(now, c)
		}
	}
	pause = durations.PathCheck
	for _, h := range b.paths {
		if h.down != h.told || h.down && h.clean != 0 || !h.down && h.missed != 0 {
			pause = durations.PathDoubted
		}
		if h.down == h.told {
			h.waits = 0
		} else {
			h.waits++
		}
	}
	return b.news(), pause
}

// find returns what is known of a path, nil if no stream ever stood.
func (b *Book) find(c Check) *health {
	i := slices.IndexFunc(b.paths, func(h *health) bool { return h.leads(c.Peer, c.Address) })
	if i >= 0 {
		return b.paths[i]
	}
	if !c.Local.IsValid() {
		return nil
	}
	h := &health{Check: c}
	b.paths = append(b.paths, h)
	return h
}

func (h *health) leads(peer uint64, address string) bool {
	return h.Peer == peer && h.Address == address
}

func (h *health) judge(now mono.Instant, c Check) {
	h.missed = h.missed << 1 & (1<<checksKept - 1)
	h.Check = c
	switch {
	case !c.Good:
		h.missed |= 1
		h.clean = 0
		h.down = h.down || bits.OnesCount8(h.missed) >= checksMissed
	case h.clean == 0:
		h.clean = now
	}
	if h.down && h.clean != 0 && now.Sub(h.clean) >= durations.PathClean {
		h.down = false
	}
}

// news returns what is to be told now: one for each network and direction.
func (b *Book) news() (all []News) {
	for _, up := range []bool{false, true} {
		var networks []netip.Addr
		for _, h := range b.paths {
			if h.down != h.told && h.down != up && !slices.Contains(networks, h.Local) {
				networks = append(networks, h.Local)
			}
		}
		slices.SortFunc(networks, netip.Addr.Compare)
		for _, local := range networks {
			if b.ripe(local, up) {
				all = append(all, b.tell(local, up))
			}
		}
	}
	return all
}

// tell notes as told what changed on a network. Of one that is down, a path that misses
// checks is down too.
func (b *Book) tell(local netip.Addr, up bool) News {
	n := News{Local: local, Up: up}
	for _, h := range b.paths {
		if h.Local != local || h.told != up {
			continue
		}
		h.down = h.down || !up && h.missed != 0
		if h.down != up {
			h.told, h.waits = h.down, 0
			n.Peers = append(n.Peers, h.Peer)
		}
	}
	slices.Sort(n.Peers)
	n.Peers = slices.Compact(n.Peers)
	return n
}

// ripe reports whether the change on a network is told now. It waits for a pass, and
// longer while other paths of that network are as they were: they may follow. More of
// a network that is told as down waits longest.
func (b *Book) ripe(local netip.Addr, up bool) bool {
	waited, follow, more := 0, false, false
	for _, h := range b.paths {
		switch {
		case h.Local != local:
		case h.down != up && h.told == up:
			waited = max(waited, h.waits)
		case h.down == up:
			follow = true
		default:
			more = true
		}
	}
	if more && !up {
		return waited > moreWaits
	}
	return waited > newsWaits || waited > 1 && !follow
}

// Down reports whether the path is down.
func (b *Book) Down(peer uint64, address string) bool {
	return slices.ContainsFunc(b.paths, func(h *health) bool { return h.down && h.leads(peer, address) })
}
