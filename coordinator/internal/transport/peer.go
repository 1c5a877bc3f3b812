package transport

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
)

// peer is one member that we keep a stream to. Its fields are shared; what
// only its own goroutine touches is in dialler.
type peer struct {
	t     *Transport
	id    uint64
	queue *queue
	// missing is since when there is no stream, Unix nanoseconds; 0 while there is
	// one.
	missing atomic.Int64
	// poke has room for one: a flag below was set.
	poke chan struct{}
	// drain is closed when the peer is removed.
	drain chan struct{}
	// provision is not nil while SetPeers does not list the peer, and list the newest
	// of Transport.lists that does; guarded by Transport.mu.
	provision *provision
	list      uint64

	mu sync.Mutex
	// info is changed under Transport.mu too, so either lock is enough to read it.
	info Peer
	// hints are addresses that the peer's hellos told, the newest first; they
	// are tried after those listed.
	hints []string
	quiet bool
	// resting: it came near a moment ago, and is not dialled yet.
	resting bool
	asked   asked
	// overflowAt is when a drop was last logged.
	overflowAt time.Time
}

// asked is what others want from the peer's goroutine.
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
}

func newPeer(t *Transport, info Peer) *peer {
	info.Addresses = slices.Clone(info.Addresses)
	p := &peer{
		t: t, id: info.ID, info: info, queue: newQueue(),
		poke: make(chan struct{}, 1), drain: make(chan struct{}),
	}
	p.missing.Store(time.Now().UnixNano())
	return p
}

// ask sets flags for the peer's goroutine and wakes it.
func (p *peer) ask(set func(*asked)) {
	p.mu.Lock()
	set(&p.asked)
	p.mu.Unlock()
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// update takes what SetPeers says, under Transport.mu. Most changes of the ring's
// configuration change no member.
func (p *peer) update(info Peer) {
	was := p.info
	if was.equal(info) {
		return
	}
	was.Distant = false
	comesNear := was.equal(info)
	info.Addresses = slices.Clone(info.Addresses)
	p.ask(func(a *asked) {
		a.near, a.moved = a.near || comesNear, a.moved || !comesNear
		p.info, p.resting, p.quiet = info, comesNear, p.quiet && was.Incarnation == info.Incarnation
	})
}

// wake takes a sign of life.
func (p *peer) wake() {
	p.ask(func(a *asked) { a.recheck, a.alive, p.quiet = true, true, false })
}

// wanted tells the goroutine of a peer that is not dialled without need that
// there is something to send.
func (p *peer) wanted() {
	if p.isUp() {
		return
	}
	p.mu.Lock()
	undialled := p.info.Distant || p.resting
	p.mu.Unlock()
	if undialled {
		p.ask(func(a *asked) { a.wanted = true })
	}
}

func (p *peer) setQuiet() {
	p.ask(func(a *asked) { a.hushed, p.quiet = true, true })
}

// overflowed says now and then how many messages were dropped since the start.
func (p *peer) overflowed(dropped uint64) {
	p.mu.Lock()
	name, quiet, again := p.info.Name, p.quiet, time.Since(p.overflowAt) < durations.Repeats
	if !again {
		p.overflowAt = time.Now()
	}
	p.mu.Unlock()
	if again {
		return
	}
	log := p.t.log.Debug // a peer that is not connected, or thought dead, cannot keep up
	if p.isUp() && !quiet {
		log = p.t.log.Warn
	}
	log("peer does not keep up: oldest messages dropped", "peer", name, "to", p.id, "dropped", dropped)
}

// hint tells where the peer said that it is reached. What it said before, or
// an earlier process of it, is not forgotten: a hello may come late.
func (p *peer) hint(addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hints := merged(addresses, p.hints)
	p.hints = hints[:min(len(hints), limits.Addresses)]
}

// merged returns a, and what of b is not in it.
func merged(a, b []string) []string {
	rest := slices.DeleteFunc(slices.Clone(b), func(s string) bool { return slices.Contains(a, s) })
	return slices.Concat(a, rest)
}

func (p *peer) isUp() bool { return p.missing.Load() == 0 }

func (p *peer) isQuiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quiet
}

func (p *peer) name() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info.Name
}

// addresses are all that are tried; the caller may keep them.
func (p *peer) addresses() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return merged(p.info.Addresses, p.hints)
}

// run is the peer's goroutine.
func (p *peer) run() {
	d := newDialler(p)
	d.conn.Begin(d.t.now())
	for {
		d.act()
		var broken chan struct{}
		if d.stream != nil {
			broken = d.stream.broken
		}
		select {
		case <-p.drain:
			d.finish()
			return
		case <-p.poke:
			d.poked()
		case r := <-d.results:
			d.result(r)
		case <-d.timer.C: // act does what is due
		case <-broken:
			d.lost()
		}
	}
}

// finish waits for the queue to leave, and for everything that was started.
func (d *dialler) finish() {
	d.conn.GiveUp()
	d.act()
	if d.stream != nil {
		select {
		case <-d.stream.broken:
		case <-time.After(d.t.opts.flushWait):
		case <-d.t.ctx.Done():
		}
		d.drop()
	}
	for d.unended > 0 {
		d.result(<-d.results)
	}
}

// end ends a stream and waits for its goroutines.
func (s *outbound) end() {
	s.close()
	<-s.written
	<-s.broken
}

// drop ends the stream without another one.
func (d *dialler) drop() {
	d.stream.end()
	d.stream = nil
	d.missing.Store(time.Now().UnixNano())
	d.queue.setDown(true)
}

// hangUp ends all tries, and the stream for another reason than that it broke.
func (d *dialler) hangUp() {
	d.conn.GiveUp()
	if d.stream != nil {
		d.conn.Drop(d.streamOf)
		d.drop()
		d.t.opts.PeerDown(d.id)
	}
}

// adopt makes a fresh stream the one that is written to.
func (d *dialler) adopt(r result) {
	s, replaced := r.stream, d.stream != nil
	if replaced {
		d.stream.end()
		if d.stream.remote.GetIncarnation() == s.remote.GetIncarnation() {
			d.queue.putBack(d.stream.unacked())
		} else {
			d.queue.setDown(true) // another process: most of it is not for that one
		}
	}
	d.stream, d.streamOf = s, r.try
	d.warned = false
	d.queue.setDown(false)
	d.mu.Lock()
	d.overflowAt = time.Time{} // what was dropped before is another matter
	d.mu.Unlock()
	d.missing.Store(0)
	d.t.wg.Go(func() { s.receive(d.t) })
	d.t.wg.Go(func() { s.write(d.peer) })
	d.t.log.Debug("stream to peer is up", "peer", d.name(), "to", d.id, "address", r.addr, "fresh", replaced)
	if replaced {
		d.t.opts.PeerDown(d.id) // what the old one still held is lost
	}
	if d.t.opts.PeerUp != nil {
		d.t.opts.PeerUp(d.id)
	}
}

// lost: the stream broke by itself.
func (d *dialler) lost() {
	s, why := d.stream, policy.Unanswered
	if lost(s.conn) {
		why = policy.Cut
	}
	d.drop()
	d.queue.putBack(s.unacked())
	d.t.log.Info("stream to peer broke", "peer", d.name(), "to", d.id, "error", s.err)
	d.t.opts.PeerDown(d.id) // may call Quiet
	if time.Since(s.born) >= durations.PeerLived {
		d.conn.Proved() // else it may be one who accepts and drops us
	}
	d.conn.Slow = errors.Is(s.err, errEvicted) || d.isQuiet()
	d.conn.Lost(d.t.now(), d.streamOf, why)
}

// poked does what others asked for.
func (d *dialler) poked() {
	d.mu.Lock()
	a, info := d.asked, d.info
	d.asked = asked{}
	quiet, resting := d.quiet, d.resting
	d.mu.Unlock()

	// Only the process that was listed so far is known to have ended. Another
	// may be newer than the list: a member that lags applies an old one.
	ended := d.listed != info.Incarnation && d.stream != nil && d.stream.remote.GetIncarnation() == d.listed
	d.listed = info.Incarnation
	now := d.t.now()
	if a.recheck && d.self.ID != 0 && !d.self.sameHello(d.t.opts.Self()) || ended {
		d.hangUp()
		d.conn.Fresh(now)
	}
	if a.network && d.stream != nil && !d.t.opts.Local(d.stream.from()) {
		d.t.log.Debug("the address of the stream to a peer is gone", "peer", info.Name, "to", d.id)
		unacked := d.stream.unacked()
		d.hangUp()
		d.queue.putBack(unacked)
	}
	d.conn.Slow = quiet
	trying := d.conn.State().Trying()
	switch {
	case d.stream != nil:
		if a.alive && d.stream.stuck(durations.PeerHintedStall) || a.stalled && !quiet && !trying && d.stream.stuck(durations.PeerStall) {
			d.conn.Silent(now, a.alive)
			d.t.log.Debug("peer does not acknowledge: racing a fresh connection", "peer", info.Name, "to", d.id)
		}
	case a.alive:
		d.conn.Alive(now)
	case a.moved || a.network && !quiet:
		d.conn.Fresh(now)
	case a.hushed && quiet:
		d.conn.GiveUp()
		d.conn.BeginIn(now, dialRules.Slow)
	case (a.recheck || a.wanted) && !trying, a.wanted && resting:
		d.conn.Begin(now)
	case a.near && !trying:
		d.conn.BeginIn(now, durations.PeerNear)
	}
}
