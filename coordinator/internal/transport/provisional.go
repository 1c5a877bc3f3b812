package transport

import (
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
)

// provision marks a peer that SetPeers does not list, or not any more, but
// that has a stream open to us and is not gone: a member that joined after
// the state that this node has applied so far. If it leads, its messages are
// what this node catches up by, and they have to be answered.
type provision struct {
	// under is who we were when the peer came.
	under Identity
	// orphaned is when its last stream to us ended, zero while it has one.
	orphaned time.Time
	// used: something was sent to it.
	used bool
}

// provisionalLocked keeps a peer although it is not listed, if it has a stream
// open to us and there is room.
func (t *Transport) provisionalLocked(p *peer) bool {
	if p.provision != nil {
		return true
	}
	ins := t.inbound[p.id]
	if len(ins) == 0 || t.provisionalsLocked() >= limits.UnlistedPeers {
		return false
	}
	p.provision = &provision{under: ins[len(ins)-1].self}
	p.ask(func(a *asked) { a.provisional = true })
	return true
}

// addProvisionalLocked makes who has a stream open to us a peer if its hello
// told where it is reached. With force, one that nothing was sent to yet gives
// way if there are too many.
func (t *Transport) addProvisionalLocked(id uint64, force bool) *peer {
	ins := t.inbound[id]
	if len(ins) == 0 || t.closed {
		return nil
	}
	hello := ins[len(ins)-1].hello
	if len(hello.GetAddresses()) == 0 {
		return nil
	}
	if t.provisionalsLocked() >= limits.UnlistedPeers {
		if !force || !t.makeRoomLocked() {
			t.log.Debug("unlisted peer is not dialled: too many", "peer", hello.GetName(), "from", id)
			return nil
		}
	}
	// The incarnation stays unknown: only the list tells of one that ended.
	p := newPeer(t, Peer{ID: id, Name: hello.GetName()})
	for _, in := range ins {
		p.hint(in.hello.GetAddresses())
	}
	if !t.provisionalLocked(p) {
		return nil
	}
	t.peers[id] = p
	t.wg.Go(p.run)
	t.log.Debug("dialling a peer that is not listed", "peer", hello.GetName(), "to", id, "addresses", hello.GetAddresses())
	return p
}

func (t *Transport) makeRoomLocked() bool {
	for _, p := range t.peers {
		if p.provision != nil && !p.provision.used {
			t.removeLocked(p)
			return true
		}
	}
	return false
}

func (t *Transport) provisionalsLocked() (n int) {
	for _, p := range t.peers {
		if p.provision != nil {
			n++
		}
	}
	return n
}

// unlisted are the peers that are not in the list.
func (t *Transport) unlisted(listed map[uint64]bool) (ids []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.peers {
		if !listed[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// receiver finds the peer for a message, nil if there is none; stranger tells
// whether it has a stream open to us nevertheless. A provisional peer that is
// to be told of its eviction is none any more.
func (t *Transport) receiver(id uint64, notice bool) (p *peer, stranger bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = t.peers[id]
	switch {
	case p == nil:
		return nil, len(t.inbound[id]) > 0
	case p.provision == nil:
	case notice:
		t.removeLocked(p)
		return nil, false
	default:
		p.provision.used = true
	}
	return p, false
}

// adoptStranger makes who is to be answered a peer, if there was no room for
// it when it came.
func (t *Transport) adoptStranger(id uint64) *peer {
	if t.gone(id) {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[id]
	if p == nil {
		p = t.addProvisionalLocked(id, true)
	}
	if p != nil && p.provision != nil {
		p.provision.used = true
	}
	return p
}

// keepProvisional lets a provisional peer go that is gone, or whose streams to
// us have ended for a while. It reports whether it is to be looked at again.
func (t *Transport) keepProvisional(p *peer) bool {
	gone := t.gone(p.id)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[p.id] != p || p.provision == nil {
		return false
	}
	orphaned := p.provision.orphaned
	if !gone && (orphaned.IsZero() || time.Since(orphaned) < durations.UnlistedKeep) {
		return true
	}
	t.removeLocked(p)
	t.log.Debug("unlisted peer is dropped", "peer", p.name(), "to", p.id)
	return false
}
