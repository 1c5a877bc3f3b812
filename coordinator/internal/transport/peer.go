package transport

import (
	"slices"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/paths"
)

// peer is one member that we keep streams to, one over each path. Its fields are
// shared by Transport and the paths.
type peer struct {
	t  *Transport
	id uint64

	// Guarded by Transport.mu.

	// provision is not nil while SetPeers does not list the peer.
	provision *provision
	// copies is of the process that opened the newest stream to us.
	copies *copies
	info   election.Peer
	// hints are addresses that the peer's hellos told, the newest first; they
	// are tried after those listed.
	hints []string
	quiet bool
	// resting: it came near a moment ago, and is not dialled yet.
	resting bool
	// paths are never none, and replaced, not modified.
	paths []*path
	// fallen is the path whose stream ended last.
	fallen *path
	// missing is since when no stream stands, while none does.
	missing time.Time
	// overflowAt is when a drop was last logged.
	overflowAt time.Time
}

// asked is what others want from a path's goroutine.
type asked struct {
	// recheck: our own identity may be another.
	recheck bool
	// alive: a sign of life; dial now, and do not trust a stuck connection.
	alive bool
	// moved: another incarnation or other addresses.
	moved bool
	// network: this machine's addresses, links or routes changed.
	network bool
	// hushed: it became quiet.
	hushed bool
	// stalled: what was sent stays unacknowledged.
	stalled bool
	// wanted: there is something to send to a distant peer.
	wanted bool
	// near: it is distant no longer.
	near bool
	// urgent: the path that made this one spare is stuck.
	urgent bool
}

func newPeer(t *Transport, info election.Peer) *peer {
	p := &peer{t: t, id: info.ID, info: info, missing: time.Now()}
	p.paths = []*path{newPath(p, "")}
	return p
}

// startLocked makes a new peer one of the transport's, and dials it.
func (t *Transport) startLocked(p *peer) {
	t.peers[p.id] = p
	d := newDialler(p.paths[0])
	t.wg.Go(func() { d.run(0) })
}

// send queues a message: one that is small on all paths that stand, another one on the
// best of them. While none stands it waits for all, and the first takes it; a peer
// that is not dialled without need is dialled now.
func (p *peer) send(it item) {
	p.t.mu.Lock()
	it.env.Number = p.t.numbers.Add(1)
	var dropped uint64
	for _, r := range paths.Choose(p.paths, it.size) {
		dropped = max(dropped, r.queue.push(it))
	}
	if (p.info.Distant || p.resting) && p.standsLocked() == nil {
		p.askLocked(func(a *asked) { a.wanted = true })
	}
	p.t.mu.Unlock()
	if dropped > 0 {
		p.overflowed(dropped)
	}
}

// falseFirst compares two values of which false is the smaller.
func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// askLocked sets flags for the goroutines of all paths and wakes them.
func (p *peer) askLocked(set func(*asked)) {
	for _, r := range p.paths {
		r.askLocked(set)
	}
}

// updateLocked takes what SetPeers says. Most changes of the ring's
// configuration change no member.
func (p *peer) updateLocked(info election.Peer) {
	was := p.info
	same := was.Name == info.Name && was.Incarnation == info.Incarnation && slices.Equal(was.Addresses, info.Addresses)
	if same && was.Distant == info.Distant {
		return
	}
	comesNear := same && !info.Distant
	p.info, p.resting, p.quiet = info, comesNear, p.quiet && was.Incarnation == info.Incarnation
	p.askLocked(func(a *asked) { a.near, a.moved = a.near || comesNear, a.moved || !comesNear })
}

// wakeLocked takes a sign of life.
func (p *peer) wakeLocked() {
	p.quiet = false
	p.askLocked(func(a *asked) { a.recheck, a.alive = true, true })
}

func (p *peer) hushLocked() {
	p.quiet = true
	p.askLocked(func(a *asked) { a.hushed = true })
}

// overflowed says now and then how many messages were dropped since the start.
func (p *peer) overflowed(dropped uint64) {
	p.t.mu.Lock()
	name, loud, again := p.info.Name, p.standsLocked() != nil && !p.quiet, time.Since(p.overflowAt) < durations.Repeats
	if !again {
		p.overflowAt = time.Now()
	}
	p.t.mu.Unlock()
	if again {
		return
	}
	log := p.t.log.Debug // a peer that is not connected, or thought dead, cannot keep up
	if loud {
		log = p.t.log.Warn
	}
	log("peer does not keep up: oldest messages dropped", "peer", name, "to", p.id, "dropped", dropped)
}

// hintLocked tells where the peer said that it is reached. What it said before, or
// an earlier process of it, is not forgotten: a hello may come late.
func (p *peer) hintLocked(addresses []string) {
	hints := merged(addresses, p.hints)
	p.hints = hints[:min(len(hints), limits.Addresses)]
}

// merged returns a, and what of b is not in it.
func merged(a, b []string) []string {
	rest := slices.DeleteFunc(slices.Clone(b), func(s string) bool { return slices.Contains(a, s) })
	return slices.Concat(a, rest)
}

func (p *peer) isUp() bool {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	return p.standsLocked() != nil
}

func (p *peer) isQuiet() bool {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	return p.quiet
}

func (p *peer) name() string {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	return p.info.Name
}

// addressesLocked are all that are tried; the caller may keep them.
func (p *peer) addressesLocked() []string { return merged(p.info.Addresses, p.hints) }
