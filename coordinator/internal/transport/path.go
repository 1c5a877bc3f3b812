package transport

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/connect/policy"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/paths"
)

// path is a way to a peer, with a stream of its own. What only its goroutine touches
// is in dialler.
type path struct {
	*peer
	queue *queue
	// poke has room for one: a flag of asked was set.
	poke chan struct{}
	// drain ends when the path is removed.
	drain  context.Context
	remove context.CancelFunc
	// down: its checks are not acknowledged. Only small messages go over it.
	down atomic.Bool

	// Guarded by Transport.mu.

	// address is the one that is dialled. Empty: all addresses of the peer are tried,
	// and the first that answers is kept.
	address string
	asked   asked
	// stands is the stream in use, nil if there is none. at is where it, or the last one,
	// leads, and local where it comes from.
	stands *outbound
	at     string
	local  netip.Addr
	// elsewhere: somebody else answered the newest try. The stream before that is forgotten then.
	elsewhere bool
}

func newPath(p *peer, address string) *path {
	r := &path{peer: p, address: address, queue: newQueue(), poke: make(chan struct{}, 1)}
	r.drain, r.remove = context.WithCancel(context.Background())
	return r
}

// askLocked sets flags for the path's goroutine and wakes it.
func (p *path) askLocked(set func(*asked)) {
	set(&p.asked)
	connect.Notify(p.poke)
}

// Stands, Down and Delay are how a message's sender sees the path, with Transport.mu
// held.
func (p *path) Stands() bool { return p.stands != nil }

func (p *path) Down() bool { return p.down.Load() }

func (p *path) Delay() time.Duration { return p.stands.delay() }

// targets are the addresses that this path may dial.
func (p *path) targets() []string {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	if p.address != "" {
		return []string{p.address}
	}
	return p.addressesLocked()
}

// own reports whether an address is this machine's: a peer is not reached there.
func (t *Transport) own(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && !a.Addr().IsLoopback() && t.opts.Local(a.Addr())
}

// standsLocked returns the first path whose stream stands.
func (p *peer) standsLocked() *path {
	for _, r := range p.paths {
		if r.stands != nil {
			return r
		}
	}
	return nil
}

// layLocked makes the paths what they have to be. While a stream stands to a peer that
// is near and listed, there is one for each listed address: where it only said that it
// is reached, it may be no more. Else one path is tried for all.
func (p *peer) layLocked() {
	if p.t.peers[p.id] != p {
		return // it was removed
	}
	want := p.wantLocked(p.standsLocked() != nil)
	if len(want) == 0 {
		want = []string{""}
	}
	p.joinLocked(want[0] == "")
	was := p.paths
	p.paths = slices.DeleteFunc(slices.Clone(was), func(r *path) bool {
		return r.stands == nil && !slices.Contains(want, r.address)
	})
	if len(want) > 1 {
		p.t.watching.Do(func() { p.t.wg.Go(p.t.watchPaths) })
	}
	for _, address := range want {
		if !slices.ContainsFunc(p.paths, func(r *path) bool { return r.address == address }) {
			r := newPath(p, address)
			p.paths = append(p.paths, r)
			d := newDialler(r)
			p.t.wg.Go(func() { d.run(durations.PeerNear) })
		}
	}
	for _, r := range was {
		if !slices.Contains(p.paths, r) {
			r.remove()
			p.paths[0].queue.putBack(r.queue.takeAll())
		}
	}
}

// wantLocked returns which addresses have a path each, if the peer is reached.
func (p *peer) wantLocked(reached bool) []string {
	if p.provision != nil || p.info.Distant {
		return nil
	}
	return paths.Lay(slices.DeleteFunc(slices.Clone(p.info.Addresses), p.t.own), reached)
}

// joinLocked makes one path of all, or makes the one for all that of one address.
func (p *peer) joinLocked(one bool) {
	r := p.standsLocked()
	switch {
	case !one && p.paths[0].address == "":
		r.address = r.at
	case one && p.paths[0].address != "":
		if r == nil {
			// Who fell last knows best when to try again.
			r = p.paths[max(0, slices.Index(p.paths, p.fallen))]
		}
		for _, o := range p.paths {
			if o != r {
				o.remove() // what waits there waits for its stream, if it has one
				if o.stands == nil {
					r.queue.putBack(o.queue.takeAll())
				}
			}
		}
		r.address, p.paths = "", []*path{r}
	}
}

// spare reports whether the peer is reached over another path. One that is doubtful does
// not count.
func (p *path) spare() bool {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	return slices.ContainsFunc(p.paths, func(o *path) bool {
		return o != p && o.stands != nil && !o.Down() && !o.stands.stuck(durations.PeerHintedStall)
	})
}

// run is the path's goroutine. It dials first after the pause.
func (d *dialler) run(pause time.Duration) {
	d.conn.Spare = d.spare()
	d.conn.BeginIn(d.t.now(), pause)
	for {
		d.act()
		var broken chan struct{}
		if d.stream != nil {
			broken = d.stream.broken
		}
		event := func() {} // act does what is due
		select {
		case <-d.drain.Done():
			d.finish()
			return
		case <-d.poke:
			event = d.poked
		case r := <-d.results:
			event = func() { d.result(r) }
		case <-d.timer.C:
		case <-broken:
			event = d.lost
		}
		d.conn.Spare = d.spare()
		event()
	}
}

// finish waits for the queue to leave, and for all that was started.
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
	d.fell()
	d.queue.setDown(true)
}

// rose notes the stream that stands.
func (p *path) rose(s *outbound, at string) {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	p.stands, p.at, p.local, p.elsewhere = s, at, s.from(), false
	p.overflowAt = time.Time{} // what was dropped before is another matter
	p.layLocked()
}

// fell notes that no stream stands.
func (p *path) fell() {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	p.stands = nil
	if p.drain.Err() == nil {
		p.fallen = p
	}
	if p.standsLocked() == nil {
		p.missing = time.Now()
	}
}

// handOver lets another path that stands, if there is one, send what waits here. Most
// of it was sent there too; the peer takes it once.
func (p *path) handOver() {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	if other := p.standsLocked(); other != nil && other != p {
		other.queue.putBack(p.queue.takeAll())
	}
	p.layLocked() // the address may be of no use any more
}

// rescue lets another path that stands carry the large messages that wait for
// acknowledgements on a stuck stream. The stream itself may take a second to break. Paths
// whose stream is missing are wanted now.
func (p *path) rescue() {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	for _, o := range p.paths {
		if o.stands == nil {
			o.askLocked(func(a *asked) { a.urgent = true })
		}
	}
	others := slices.DeleteFunc(slices.Clone(p.paths), func(o *path) bool { return o == p || o.stands == nil })
	if len(others) > 0 && p.stands != nil {
		paths.Choose(others, limits.SmallMessage+1)[0].queue.putBack(p.stands.rescue())
	}
}

// hangUp ends all tries, and the stream for another reason than that it broke. What is
// not acknowledged there is sent again if it is kept.
func (d *dialler) hangUp(keep bool) {
	d.conn.GiveUp()
	if d.stream == nil {
		return
	}
	var unacked []item
	if keep {
		unacked = d.stream.unacked()
	}
	d.conn.Drop(d.streamOf)
	d.drop()
	d.queue.putBack(unacked)
	d.handOver()
	d.t.opts.PeerDown(d.id)
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
	d.rose(s, r.addr)
	d.t.wg.Go(func() { s.receive(d.t) })
	d.t.wg.Go(func() { s.write(d.path) })
	d.t.log.Debug("stream to peer is up", "peer", d.name(), "to", d.id, "address", r.addr, "fresh", replaced)
	if replaced {
		d.t.opts.PeerDown(d.id) // what the old one still held is lost
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
	d.handOver()
	log := d.t.log.Info
	if d.isUp() {
		log = d.t.log.Debug // over another path; if this one stays down, that is told
	}
	log("stream to peer broke", "peer", d.name(), "to", d.id, "address", s.conn.RemoteAddr().String(), "error", s.err)
	d.t.opts.PeerDown(d.id) // may call Quiet
	if time.Since(s.born) >= durations.PeerLived {
		d.conn.Proved() // else it may be one who accepts and drops us
	}
	d.conn.Slow = errors.Is(s.err, errEvicted) || d.isQuiet()
	d.conn.Lost(d.t.now(), d.streamOf, why)
}

// poked does what others asked for.
func (d *dialler) poked() {
	d.t.mu.Lock()
	a, info := d.asked, d.info
	d.asked = asked{}
	quiet, resting := d.quiet, d.resting
	d.t.mu.Unlock()

	// Only the process that was listed so far is known to have ended. Another
	// may be newer than the list: a member that lags applies an old one.
	ended := d.listed != info.Incarnation && d.stream != nil && d.stream.remote.GetIncarnation() == d.listed
	d.listed = info.Incarnation
	now := d.t.now()
	if a.recheck && d.self.ID != 0 && !d.self.sameHello(d.t.opts.Self()) || ended {
		d.hangUp(false)
		d.conn.Fresh(now)
	}
	if a.network && d.stream != nil && !d.t.opts.Local(d.stream.from()) {
		d.t.log.Debug("the address of the stream to a peer is gone", "peer", info.Name, "to", d.id)
		d.hangUp(true)
	}
	d.conn.Slow = quiet
	trying := d.conn.State().Trying()
	switch {
	case d.stream != nil:
		if a.stalled && d.stream.stuck(durations.PeerStall) {
			d.rescue()
		}
		if a.alive && d.stream.stuck(durations.PeerHintedStall) || a.stalled && !quiet && !trying && d.stream.stuck(durations.PeerStall) {
			d.conn.Silent(now, a.alive)
			d.t.log.Debug("peer does not acknowledge: racing a fresh connection", "peer", info.Name, "to", d.id)
		}
	case a.urgent && !d.conn.Spare && !quiet:
		d.conn.Begin(now)
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
