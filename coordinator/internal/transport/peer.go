package transport

import (
	"errors"
	"net"
	"net/netip"
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
	// provision is not nil while SetPeers does not list the peer; guarded by
	// Transport.mu.
	provision *provision

	mu   sync.Mutex
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
	// overflow: messages were dropped; loud if they should not have been.
	overflow, loud bool
	// provisional: SetPeers does not list the peer.
	provisional bool
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

// is reports whether update would change nothing.
func (p *peer) is(info Peer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info.equal(info)
}

func (p *peer) update(info Peer) {
	p.mu.Lock()
	same := p.info.equal(info)
	near := p.info
	near.Distant = false
	comesNear := !same && near.equal(info)
	if !same {
		p.resting = comesNear
		if p.info.Incarnation != info.Incarnation {
			p.quiet = false
		}
		info.Addresses = slices.Clone(info.Addresses)
		p.info = info
	}
	p.mu.Unlock()
	switch {
	case comesNear:
		p.ask(func(a *asked) { a.near = true })
	case !same:
		p.ask(func(a *asked) { a.moved = true })
	}
}

// listedAs reports whether the peer is listed as this process. A process that
// says that it is a newer one may be a copy.
func (p *peer) listedAs(incarnation uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info.Incarnation == incarnation
}

// wake: alive is a sign of life, else only our own identity changed.
func (p *peer) wake(alive bool) {
	p.ask(func(a *asked) {
		a.recheck = true
		if alive {
			a.alive, p.quiet = true, false
		}
	})
}

// idle: nobody needs a stream to this peer now.
func (p *peer) idle() bool {
	p.mu.Lock()
	distant := p.info.Distant
	p.mu.Unlock()
	return distant && p.queue.empty()
}

func (p *peer) distant() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info.Distant
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

func (p *peer) stalled() {
	p.ask(func(a *asked) { a.stalled = true })
}

func (p *peer) overflowed() {
	p.mu.Lock()
	recent := time.Since(p.overflowAt) < durations.Repeats
	if !recent {
		p.overflowAt = time.Now()
	}
	p.mu.Unlock()
	if !recent {
		p.ask(func(a *asked) {
			a.overflow = true
			// A peer that is not connected, or thought dead, cannot keep up.
			a.loud = p.isUp() && !p.quiet
		})
	}
}

// hint tells where the peer said that it is reached. What it said before, or
// an earlier process of it, is not forgotten: a hello may come late.
func (p *peer) hint(addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hints := slices.Clone(addresses)
	for _, a := range p.hints {
		if len(hints) < limits.Addresses && !slices.Contains(hints, a) {
			hints = append(hints, a)
		}
	}
	p.hints = hints
}

// remove lets the queue leave and then ends the peer; called once.
func (p *peer) remove() { close(p.drain) }

func (p *peer) draining() bool {
	select {
	case <-p.drain:
		return true
	default:
		return false
	}
}

func (p *peer) isUp() bool { return p.missing.Load() == 0 }

// missingFor reports whether there was no stream for so long.
func (p *peer) missingFor(d time.Duration) bool {
	since := p.missing.Load()
	return since != 0 && time.Since(time.Unix(0, since)) >= d
}

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
	all := slices.Clone(p.info.Addresses)
	for _, a := range p.hints {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
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
		case <-d.review.C:
			if d.t.keepProvisional(p) {
				d.review.Reset(durations.UnlistedCheck)
			}
		}
	}
}

// localAddr is where a connection comes from; the zero Addr if it is none of IP.
func localAddr(c net.Conn) netip.Addr {
	if t, ok := c.LocalAddr().(*net.TCPAddr); ok {
		return t.AddrPort().Addr()
	}
	return netip.Addr{}
}

// finish waits for the queue to leave, and for everything that was started.
func (d *dialler) finish() {
	d.conn.GiveUp()
	d.act()
	if d.stream != nil {
		flush := time.NewTimer(d.t.opts.flushWait)
		select {
		case <-d.stream.broken:
		case <-flush.C:
		case <-d.t.ctx.Done():
		}
		flush.Stop()
		d.drop()
	}
	for d.unended > 0 {
		d.result(<-d.results)
	}
	d.timer.Stop()
	d.review.Stop()
}

// drop ends the stream and waits for its goroutines.
func (d *dialler) drop() {
	s := d.stream
	s.close()
	<-s.written
	<-s.broken
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
		d.t.peerDown(d.id)
	}
}

// adopt makes a fresh stream the one that is written to.
func (d *dialler) adopt(r result) {
	s, replaced := r.stream, d.stream != nil
	if replaced {
		old := d.stream
		d.drop()
		if old.remote.GetIncarnation() == s.remote.GetIncarnation() {
			d.queue.putBack(old.unacked())
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
	d.t.log.Debug("stream to peer is up", "peer", d.name(), "to", d.id, "address", s.addr, "fresh", replaced)
	if replaced {
		d.t.peerDown(d.id) // what the old one still held is lost
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
	d.t.peerDown(d.id) // may call Quiet
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

	if a.provisional {
		d.review.Reset(durations.UnlistedCheck)
	}
	if a.overflow {
		log := d.t.log.Debug
		if a.loud {
			log = d.t.log.Warn
		}
		log("peer does not keep up: oldest messages dropped", "peer", info.Name, "to", d.id, "dropped", d.queue.droppedTotal())
	}
	// Only the process that was listed so far is known to have ended. Another
	// may be newer than the list: a member that lags applies an old one.
	ended := d.listed != info.Incarnation && d.stream != nil && d.stream.remote.GetIncarnation() == d.listed
	d.listed = info.Incarnation
	now := d.t.now()
	if a.recheck && d.self.ID != 0 && !d.self.sameHello(d.t.opts.Self()) || ended {
		d.hangUp()
		d.conn.Fresh(now)
	}
	if a.network && d.stream != nil && d.t.opts.Local != nil && !d.t.opts.Local(localAddr(d.stream.conn)) {
		d.t.log.Debug("the address of the stream to a peer is gone", "peer", info.Name, "to", d.id)
		unacked := d.stream.unacked()
		d.hangUp()
		d.queue.putBack(unacked)
	}
	d.conn.Slow = quiet
	trying := d.conn.State() != policy.Idle && d.conn.State() != policy.Up
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
