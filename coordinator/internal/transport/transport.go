package transport

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/election"
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
	// closing ends when Close begins, under mu.
	closing context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex
	peers   map[uint64]*peer
	inbound map[uint64][]*inbound
	// selfChanged is closed and replaced when Self may have a new answer.
	selfChanged chan struct{}
	// refused are the refusals that were logged.
	refused map[string]bool

	// streams counts those to us, hellos that are waited for included.
	streams atomic.Int32
	// watching: somebody checks paths.
	watching sync.Once
	// numbers counts the messages to all peers.
	numbers atomic.Uint64
	// tries are those under way to all peers.
	tries atomic.Int32
	// assembling counts the bytes of unfinished envelopes.
	assembling atomic.Int64
}

// New makes a Transport without peers. Close has to be called.
func New(opts Options) *Transport {
	opts.flushWait = cmp.Or(opts.flushWait, durations.PeerFlush)
	t := &Transport{
		opts:        opts,
		log:         opts.Logger,
		began:       time.Now(),
		peers:       make(map[uint64]*peer),
		inbound:     make(map[uint64][]*inbound),
		selfChanged: make(chan struct{}),
		refused:     make(map[string]bool),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.closing, t.stop = context.WithCancel(t.ctx)
	return t
}

// SetPeers says who the other members are now. Streams to newcomers are
// opened; those to members that are no longer listed are closed when what is
// queued for them has left, or 200 ms later, unless they have a stream open to
// us and are not Gone: those are provisional peers, like strangers who open
// one. The node itself may be listed. A peer that is Distant is dialled only when
// there is something to send; a stream that stands is kept. The addresses must not
// be modified later.
func (t *Transport) SetPeers(peers []election.Peer) {
	self := t.opts.Self().ID
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing.Err() != nil {
		return
	}
	listed := map[uint64]bool{}
	for _, info := range peers {
		if info.ID == 0 || info.ID == self {
			continue
		}
		p := t.peers[info.ID]
		if p == nil {
			p = newPeer(t, info)
			t.startLocked(p)
		}
		p.updateLocked(info)
		listed[p.id], p.provision = true, nil
		for _, in := range t.inbound[p.id] {
			if in.proven != "" && in.proven != info.Name { // it came before the id was known
				in.end(endOther, nil)
			}
		}
		p.layLocked()
	}
	for id, p := range t.peers {
		if !listed[id] && (id == self || t.opts.Gone(id) || !t.keepLocked(p)) {
			t.removeLocked(p)
		}
	}
}

// Addresses are those at which the peer is dialled: where the member is listed,
// and where it said itself that it is reached. None if it is no peer.
func (t *Transport) Addresses(id uint64) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil {
		return p.addressesLocked()
	}
	return nil
}

// removeLocked lets a peer go when its queue has left.
func (t *Transport) removeLocked(p *peer) {
	for _, r := range p.paths {
		r.remove()
	}
	delete(t.peers, p.id)
}

// Send queues a message for the peer m.To, which may be provisional. It never
// blocks. The message is dropped if To is no peer. A notice of eviction to who
// is not listed, and the word that another process is the member, are the last
// word on the streams that To has open to us. The notice ends a provisional peer;
// without such a stream the next hello is answered so, if Options.Gone knows.
// Send keeps nothing of m; its Incarnation is not sent, the hello told it.
func (t *Transport) Send(m election.Message) {
	p := t.receiver(&m)
	if p == nil {
		return
	}
	t.opts.Sign(&m)
	env, err := peerwire.Encode(m)
	if err != nil {
		t.log.Error("message not sent", "peer", p.name(), "to", m.To, "error", err)
		return
	}
	p.send(newItem(m, env))
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
		} else {
			p.askLocked(func(a *asked) { a.recheck = true })
		}
	}
	for _, ins := range t.inbound {
		for _, in := range ins {
			if !in.self.sameHello(self) {
				in.end(endIdentity, nil)
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
		p.hushLocked()
	}
}

// Wake takes Quiet back, and dials at once if there is no stream.
func (t *Transport) Wake(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil {
		p.wakeLocked()
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
	known := p.addressesLocked()
	if slices.ContainsFunc(addresses, func(a string) bool { return !slices.Contains(known, a) }) {
		p.hintLocked(addresses)
		p.askLocked(func(a *asked) { a.moved, a.alive = true, true })
		p.layLocked()
	}
}

// NetworkChanged says that addresses, links or routes of this machine changed:
// peers without a stream are dialled at once, and so are those whose stream
// comes from an address that is this machine's no more.
func (t *Transport) NetworkChanged() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.peers {
		p.askLocked(func(a *asked) { a.network = true })
	}
}

// Apart reports whether the stream to a peer that is not distant is missing for
// at least d.
func (t *Transport) Apart(d time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.peers {
		if !p.info.Distant && p.standsLocked() == nil && time.Since(p.missing) >= d {
			return true
		}
	}
	return false
}

// Close lets queued messages leave for at most 200 ms, closes all streams and
// waits for all goroutines. It may be called more than once.
func (t *Transport) Close() {
	t.mu.Lock()
	t.stop()
	for _, p := range t.peers {
		t.removeLocked(p)
	}
	for _, ins := range t.inbound {
		for _, in := range ins {
			in.end(endClosing, nil)
		}
	}
	t.mu.Unlock()
	late := time.AfterFunc(t.opts.flushWait+durations.PeerFlush/4, t.cancel)
	defer late.Stop()
	t.wg.Wait()
	t.cancel()
}

// now is the instant that the policies of the peers are told.
func (t *Transport) now() mono.Instant { return mono.Instant(time.Since(t.began)) }
