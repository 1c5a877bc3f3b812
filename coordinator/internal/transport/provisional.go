package transport

import (
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/peerwire"
	"github.com/arc-ring/arc/ring"
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

// keepLocked keeps a peer although it is not listed, if it has a stream open to
// us and there is room.
func (t *Transport) keepLocked(p *peer) bool {
	if p.provision == nil && len(t.inbound[p.id]) > 0 && t.roomLocked(false) {
		t.provisionLocked(p)
	}
	return p.provision != nil
}

// provisionLocked makes a peer that has a stream open to us a provisional one.
func (t *Transport) provisionLocked(p *peer) {
	ins := t.inbound[p.id]
	under := &provision{under: ins[len(ins)-1].self}
	p.provision = under
	p.layLocked()
	time.AfterFunc(durations.UnlistedCheck, func() { t.review(p, under) })
}

// addProvisionalLocked makes who has a stream open to us a peer if its hello
// told where it is reached. With force, one that nothing was sent to yet gives
// way if there are too many.
func (t *Transport) addProvisionalLocked(id uint64, force bool) *peer {
	ins := t.inbound[id]
	if len(ins) == 0 || t.closing.Err() != nil {
		return nil
	}
	hello := ins[len(ins)-1].hello
	if len(hello.GetAddresses()) == 0 {
		return nil
	}
	if !t.roomLocked(force) {
		t.log.Debug("unlisted peer is not dialled: too many", "peer", hello.GetName(), "from", id)
		return nil
	}
	// The incarnation stays unknown: only the list tells of one that ended.
	p := newPeer(t, election.Peer{Member: ring.Member{ID: id, Name: hello.GetName()}})
	for _, in := range ins {
		p.hintLocked(in.hello.GetAddresses())
	}
	t.provisionLocked(p)
	t.startLocked(p)
	t.log.Debug("dialling a peer that is not listed", "peer", hello.GetName(), "to", id, "addresses", hello.GetAddresses())
	return p
}

// roomLocked reports whether there is room for one more provisional peer. With
// force, one that nothing was sent to yet gives way.
func (t *Transport) roomLocked(force bool) bool {
	n := 0
	var unused *peer
	for _, p := range t.peers {
		if p.provision != nil {
			n++
			if !p.provision.used {
				unused = p
			}
		}
	}
	if n >= limits.UnlistedPeers && force && unused != nil {
		t.removeLocked(unused)
		n--
	}
	return n < limits.UnlistedPeers
}

// receiver finds the peer for a message, nil if there is none. A stranger who is
// to be answered becomes a peer, if there was no room for it when it came. A
// provisional peer that is to be told of its eviction is none any more.
func (t *Transport) receiver(m *election.Message) *peer {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[m.To]
	unlisted := p == nil || p.provision != nil
	switch {
	case m.Held != nil, m.Evicted != nil && unlisted:
		if m.Held == nil && p != nil {
			t.removeLocked(p)
		}
		t.lastWordLocked(m)
		return nil
	case p == nil && len(t.inbound[m.To]) > 0 && !t.opts.Gone(m.To):
		p = t.addProvisionalLocked(m.To, true)
	}
	if p != nil && p.provision != nil {
		p.provision.used = true
	}
	return p
}

// lastWordLocked ends the streams to us of a former member, or of a process that is
// not the member, when they have been told so.
func (t *Transport) lastWordLocked(m *election.Message) {
	for _, in := range t.inbound[m.To] {
		switch {
		case m.Held == nil:
			in.end(endNotice, peerwire.EncodeEvicted(*m.Evicted))
		case m.Held.Incarnation == in.hello.GetIncarnation():
			in.end(endHeld, peerwire.EncodeHeld(*m.Held))
		}
	}
}

// review lets a provisional peer go that is gone, or whose streams to us have ended
// for a while, and looks again later if neither is so.
func (t *Transport) review(p *peer, of *provision) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[p.id] != p || p.provision != of {
		return
	}
	orphaned := of.orphaned
	if !t.opts.Gone(p.id) && (orphaned.IsZero() || time.Since(orphaned) < durations.UnlistedKeep) {
		time.AfterFunc(durations.UnlistedCheck, func() { t.review(p, of) })
		return
	}
	t.removeLocked(p)
	t.log.Debug("unlisted peer is dropped", "peer", p.info.Name, "to", p.id)
}
