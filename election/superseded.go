package election

import (
	"slices"

	"github.com/arc-ring/arc/ring"
)

// refuseClaim tells a process that it is not the member: the holder lives, or its
// data directory is behind what the member did.
func (i *identity) refuseClaim(m ring.Member, c *claim, behind bool) {
	if pause := i.ring.Settings.RenewEvery(); i.now < c.refused.Add(pause) {
		return
	}
	c.refused = i.now
	i.trace("refuses process %d of %s: process %d is the member at %v (behind: %v)", c.incarnation, m.Name, i.holder(m), m.Addresses, behind)
	i.tellHeld(m, c.incarnation, behind)
}

func (i *identity) tellHeld(m ring.Member, incarnation uint64, behind bool) {
	i.send(Message{To: m.ID, Held: &Held{RingID: i.ring.RingID, ID: m.ID, Incarnation: incarnation, By: i.holder(m), Addresses: m.Addresses, Behind: behind}})
}

// heldBy takes another member's word that this process is not the member. A
// process that the ring has not recorded believes the first one: that member has
// just heard the other process. One that the ring has recorded can be out only
// by a committed entry, so the others have to agree. Who has said so repeats
// it, since this process goes on speaking: an old word says nothing.
func (i *identity) heldBy(from uint64, h Held) {
	if h.ID != i.cfg.ID || h.Incarnation != i.cfg.Incarnation || h.By == 0 || h.By == h.Incarnation || h.RingID != i.ring.RingID || !i.isMember(from) {
		return
	}
	if i.recorded {
		for _, p := range i.roster.peers.All() {
			if i.now >= p.told.at.Add(isolationLeases*i.ring.Settings.Lease()) {
				p.told = heldWord{}
			}
		}
		if !i.roster.peers.Any(func(p *peer) bool { return p.told.by != 0 }) {
			i.toldSince = i.now
		}
		i.roster.peers.Ensure(from).told = heldWord{h.By, i.now}
		if !i.agreed(h.By) {
			i.announce(i.ring.Settings.RenewEvery()) // the others say what they know
			return
		}
	}
	i.parent.supersede(Superseded{By: h.By, Addresses: slices.Clone(h.Addresses), Behind: h.Behind})
}

// agreed reports whether enough other voters say that another process is this
// member. A majority of them is enough. So are all that can be reached, if no
// leader has been heard for long, a voter among them: the others may have left
// the ring since.
func (i *identity) agreed(by uint64) bool {
	others, lease := i.otherVoters(), i.ring.Settings.Lease()
	agree := count(others, func(id uint64) bool { return i.roster.peers.Value(id).told.by == by })
	objects := slices.ContainsFunc(others, func(id uint64) bool {
		p := i.roster.peers.Value(id)
		return p.told.by != by && p.heard != 0 && i.now < p.heard.Add(isolationLeases*lease)
	})
	alone := !i.leads() && i.now >= i.roster.leaderHeard.Add(isolationLeases*lease) && i.now >= i.toldSince.Add(2*lease)
	return agree > len(others)/2 || alone && agree > 0 && !objects
}
