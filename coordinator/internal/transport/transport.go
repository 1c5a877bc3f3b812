package transport

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/internal/peerwire"
)

// Transport keeps a stream to every peer and takes theirs.
type Transport struct {
	opts Options
	log  hclog.Logger
	// began is the origin of the policies' instants.
	began time.Time

	// ctx ends at Close, after the flush.
	ctx    context.Context
	cancel context.CancelFunc
	// closing is closed when Close begins.
	closing chan struct{}
	wg      sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	peers   map[uint64]*peer
	inbound map[uint64][]*inbound
	// streams counts those to us, hellos that are waited for included.
	streams int
	// selfChanged is closed and replaced when Self may have a new answer.
	selfChanged chan struct{}
	refused     map[refusal]struct{}

	// tries are those under way to all peers.
	tries atomic.Int32
	// assembling counts the bytes of unfinished envelopes.
	assembling atomic.Int64
}

// New makes a Transport without peers. Close has to be called.
func New(opts Options) *Transport {
	t := &Transport{
		opts:        opts,
		log:         opts.Logger,
		began:       time.Now(),
		closing:     make(chan struct{}),
		peers:       make(map[uint64]*peer),
		inbound:     make(map[uint64][]*inbound),
		selfChanged: make(chan struct{}),
		refused:     make(map[refusal]struct{}),
	}
	if t.log == nil {
		t.log = hclog.NewNullLogger()
	}
	if t.opts.Dialer == nil {
		t.opts.Dialer = &connect.Dialer{}
	}
	if t.opts.flushWait == 0 {
		t.opts.flushWait = durations.PeerFlush
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// SetPeers says who the other members are now. Streams to newcomers are
// opened; those to members that are no longer listed are closed when what is
// queued for them has left, or 200 ms later, unless they have a stream open to
// us and are not Gone: those are provisional peers, like strangers who open
// one. The node itself may be listed.
func (t *Transport) SetPeers(peers []Peer) {
	self := t.opts.Self().ID
	if t.known(peers, self) {
		return
	}
	listed := make(map[uint64]bool, len(peers))
	for _, info := range peers {
		if info.ID != 0 && info.ID != self {
			listed[info.ID] = true
		}
	}
	keep := make(map[uint64]bool)
	for _, id := range t.unlisted(listed) {
		keep[id] = id != self && !t.gone(id)
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	for _, info := range peers {
		if !listed[info.ID] {
			continue
		}
		if p := t.peers[info.ID]; p != nil {
			p.provision = nil
			p.update(info)
			continue
		}
		p := newPeer(t, info)
		t.peers[info.ID] = p
		t.wg.Go(p.run)
	}
	for id, p := range t.peers {
		if !listed[id] && !(keep[id] && t.provisionalLocked(p)) {
			t.removeLocked(p)
		}
	}
}

// known reports whether there is nothing to do: the peers are exactly these, none
// provisional. Most changes of the ring's configuration change no member.
func (t *Transport) known(peers []Peer, self uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, info := range peers {
		if info.ID == 0 || info.ID == self {
			continue
		}
		p := t.peers[info.ID]
		if p == nil || p.provision != nil || !p.is(info) {
			return false
		}
		n++
	}
	return n == len(t.peers) // a peer that is listed twice is looked at again
}

// Addresses are those at which the peer is dialled: where the member is listed,
// and where it said itself that it is reached. None if it is no peer.
func (t *Transport) Addresses(id uint64) []string {
	t.mu.Lock()
	p := t.peers[id]
	t.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.addresses()
}

// removeLocked lets a peer go.
func (t *Transport) removeLocked(p *peer) {
	p.remove()
	delete(t.peers, p.id)
}

// Send queues a message for the peer m.To, which may be provisional. It never
// blocks. The message is dropped if To is no peer. A notice of eviction to who
// is not listed goes out as by Notice, and ends a provisional peer. Send keeps
// nothing of m; its Incarnation is not sent, the hello told it.
func (t *Transport) Send(m election.Message) {
	if m.Held != nil {
		t.held(m.To, *m.Held)
		return
	}
	p, stranger := t.receiver(m.To, m.Evicted != nil)
	switch {
	case p != nil:
	case m.Evicted != nil:
		t.Notice(m.To, *m.Evicted)
		return
	case stranger:
		p = t.adoptStranger(m.To)
	}
	if p == nil {
		return
	}
	env, err := peerwire.Encode(m)
	if err != nil {
		t.log.Error("message not sent", "peer", p.name(), "to", m.To, "error", err)
		return
	}
	if p.queue.push(m, env) {
		p.overflowed()
	}
	p.wanted()
}

// Notice tells a former member that it is none any more, on the stream that it
// has open to us, and closes that; without such a stream it does nothing, and
// the next hello is answered so, if Options.Gone knows.
func (t *Transport) Notice(id uint64, n election.EvictedNotice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, in := range t.inbound[id] {
		in.tell(lastWord{peerwire.EncodeEvicted(n), endNotice})
	}
}

// held tells a process, on the stream that it has open to us, that another
// process is its member, and closes that stream.
func (t *Transport) held(id uint64, h election.Held) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, in := range t.inbound[id] {
		if in.hello.GetIncarnation() == h.Incarnation {
			in.tell(lastWord{peerwire.EncodeHeld(h), endHeld})
		}
	}
}

// SelfChanged makes the transport ask Self again: held hellos are answered,
// and streams under an identity that is no longer ours are closed.
func (t *Transport) SelfChanged() {
	self := t.opts.Self()
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.selfChanged)
	t.selfChanged = make(chan struct{})
	for _, p := range t.peers {
		if p.provision != nil && !p.provision.under.sameHello(self) {
			t.removeLocked(p) // who still knows us dials again
			continue
		}
		p.wake(false)
	}
	for _, ins := range t.inbound {
		for _, in := range ins {
			if !in.self.sameHello(self) {
				in.end(endIdentity)
			}
		}
	}
}

// Quiet says that a peer is thought dead: it is redialled once a second only,
// until it opens a stream to us, returns in a new incarnation, or Wake is
// called. A stream that stands is not touched.
func (t *Transport) Quiet(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil {
		p.setQuiet()
	}
}

// Wake takes Quiet back, and dials at once if there is no stream.
func (t *Transport) Wake(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil {
		p.wake(true)
	}
}

// Hint says where a peer may be reached beside the places that are known. It
// is dialled there if there is no stream to it, or one that is stuck.
func (t *Transport) Hint(id uint64, addresses []string) {
	if foreign.CheckAddresses(addresses) != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[id]
	if p == nil {
		return
	}
	known := p.addresses()
	if slices.ContainsFunc(addresses, func(a string) bool { return !slices.Contains(known, a) }) {
		p.hint(addresses)
		p.ask(func(a *asked) { a.moved, a.alive = true, true })
	}
}

// NetworkChanged says that addresses, links or routes of this machine changed:
// peers without a stream are dialled at once, and so are those whose stream
// comes from an address that is this machine's no more.
func (t *Transport) NetworkChanged() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.peers {
		p.ask(func(a *asked) { a.network = true })
	}
}

// Apart reports whether the stream to a peer that is not distant is missing for
// at least d.
func (t *Transport) Apart(d time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.peers {
		if p.missingFor(d) && !p.distant() {
			return true
		}
	}
	return false
}

// Close lets queued messages leave for at most 200 ms, closes all streams and
// waits for all goroutines. It may be called more than once.
func (t *Transport) Close() {
	t.mu.Lock()
	if !t.closed {
		close(t.closing)
	}
	t.closed = true
	for _, p := range t.peers {
		t.removeLocked(p)
	}
	for _, ins := range t.inbound {
		for _, in := range ins {
			in.end(endClosing)
		}
	}
	t.mu.Unlock()
	stop := time.AfterFunc(t.opts.flushWait+durations.PeerFlush/4, t.cancel)
	defer stop.Stop()
	t.wg.Wait()
	t.cancel()
}

// now is the instant that the policies of the peers are told.
func (t *Transport) now() mono.Instant { return mono.Instant(time.Since(t.began)) }

func (t *Transport) peerDown(id uint64) {
	if t.opts.PeerDown != nil {
		t.opts.PeerDown(id)
	}
}
