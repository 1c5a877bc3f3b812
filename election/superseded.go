package election

import (
	"slices"

	"github.com/arc-ring/arc/ring"
)

// refuseClaim tells a process that it is not the member: the holder lives, or its
// data directory is behind what the member did.
func (n *Node) refuseClaim(m ring.Member, c *claim, behind bool) {
	if pause := n.ring.Settings.RenewEvery(); n.now < c.refused.Add(pause) {
		return
	}
	c.refused = max(n.now, 1)
	n.trace("refuses process %x of %s: process %x is the member at %v (behind: %v)", c.incarnation, m.Name, n.holder(m), m.Addresses, behind)
	n.tellHeld(m, c.incarnation, behind)
}

func (n *Node) tellHeld(m ring.Member, incarnation uint64, behind bool) {
	n.send(Message{To: m.ID, Held: &Held{RingID: n.ring.RingID, ID: m.ID, Incarnation: incarnation, By: n.holder(m), Addresses: m.Addresses, Behind: behind}})
}

// heldBy takes another member's word that this process is not the member. A
// process that the ring has not recorded believes the first one: that member has
// just heard the other process. One that the ring has recorded can be out only
// by a committed entry, so the others have to agree. Who has said so repeats
// it, since this process goes on speaking: an old word says nothing.
func (n *Node) heldBy(from uint64, h Held) {
	if h.ID != n.cfg.ID || h.Incarnation != n.cfg.Incarnation || h.By == 0 || h.By == h.Incarnation || h.RingID != n.ring.RingID {
		return
	}
	if _, ok := n.ring.Member(from); !ok {
		return
	}
	if n.identity.recorded {
		i := &n.identity
		ever := false
		for _, p := range n.peers.All() {
			if p.told.by != 0 && n.now >= p.told.at.Add(lonelyAfter*n.ring.Settings.Lease()) {
				p.told = heldWord{}
			}
			ever = ever || p.told.by != 0
		}
		if !ever {
			i.toldSince = n.now
		}
		n.peers.Ensure(from).told = heldWord{h.By, n.now}
		if !n.agreed(h.By) {
			n.announce(n.ring.Settings.RenewEvery()) // the others say what they know
			return
		}
	}
	n.supersede(Superseded{By: h.By, Addresses: slices.Clone(h.Addresses), Behind: h.Behind})
}

// agreed reports whether enough other voters say that another process is this
// member. A majority of them is enough. So are all that can be reached, if no
// leader has been heard for long, a voter among them: the others may have left
// the ring since.
func (n *Node) agreed(by uint64) bool {
	others, agree, objects := n.otherVoters(), 0, false
	lease := n.ring.Settings.Lease()
	for _, id := range others {
		p := n.peers.Value(id)
		switch {
		case p.told.by == by:
			agree++
		case p.heard.set && n.now < p.heard.at.Add(lonelyAfter*lease):
			objects = true
		}
	}
	alone := n.lead == nil && n.now >= n.leaderHeard.Add(lonelyAfter*lease) && n.now >= n.identity.toldSince.Add(2*lease)
	return agree > len(others)/2 || alone && agree > 0 && !objects
}

// supersede ends this process's part in the ring: another one is the member, or
// this one's log lost what the member had acknowledged. It stops acting first,
// and the owner then says so.
func (n *Node) supersede(s Superseded) {
	if n.removed {
		return
	}
	n.end(ErrSuperseded)
	n.trace("superseded by process %x at %v (behind: %v)", s.By, s.Addresses, s.Behind)
	n.emit(s)
}
