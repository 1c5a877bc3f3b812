package discovery

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// ringTable remembers the rings of the cluster that were heard.
type ringTable map[string]*ringHeard

type ringHeard struct {
	last, reported time.Time
	info           *discoveryv1.Ring
	leader         string // "" for none
	from           *discoveryv1.Node
	source         netip.AddrPort
	warned         bool
}

// report hands the ring to the callback. split says how it came to have the same id
// as this node's ring; it is empty if the ring has another id.
func (h *ringHeard) report(split string) report {
	return report{&arcv1.OtherRing{RingId: h.info.RingId, Split: split, From: h.from.Name, Addresses: h.from.Addresses, Leader: h.leader}}
}

// split is what was heard last of a ring with the own ring's id: arc recover
// founded one of the two again, and members of the other were not gone.
type split struct {
	ringHeard
	// told is when the one that was told of last was founded again.
	told int64
}

// leaderOf returns the ring's leader and its addresses, as the sender tells them.
func leaderOf(r *discoveryv1.Ring, sender *discoveryv1.Node) (string, []string) {
	if r.Leads {
		return sender.Name, sender.Addresses
	}
	return r.Leader, r.LeaderAddresses
}

// hearRing takes in that a node said which ring it belongs to.
func (c *core) hearRing(now time.Time, from netip.AddrPort, node *discoveryv1.Node, r *discoveryv1.Ring) {
	h, ok := c.rings[r.RingId]
	if !ok {
		if len(c.rings) >= limits.Rings {
			c.rings.dropOldest()
			c.manyRings = true
		}
		h = &ringHeard{}
		c.rings[r.RingId] = h
	}
	h.last, h.info, h.from, h.source = now, r, node, from
	h.leader, _ = leaderOf(r, node)
	c.reportForeign(now)
	if r.RingId == c.ring.RingId {
		// Only one that has a leader counts: a former member that comes back says
		// the old ring until it is told.
		if s := &c.split; r.RefoundedAt != c.ring.RefoundedAt && h.leader != "" {
			reported := s.reported
			s.ringHeard = *h
			s.reported = reported
		}
		c.reportSplit(now)
	}
	if c.ring.RingId == "" && c.search != nil {
		other := c.rings.other(now, r.RingId)
		if other != "" {
			c.search.leaderless = nil
		}
		if other != "" && !h.warned {
			h.warned = true
			c.log(hclog.Warn, "two rings of one cluster, joining neither by discovery",
				"cluster", c.cluster, "ring", r.RingId, "other-ring", other, "from", node.Name,
				"hint", "stop one of them, or name a member of the right one with --join HOST:PORT")
		}
	}
}

// TwoRingsHint says what to do about two rings of one cluster, or of one id. The
// log and `arc status` say the same.
const TwoRingsHint = "each ring has a leader: stop the coordinators of one of the two, move their data directories aside, and start them again, so that they join the other"

// reportForeign reports each ring lately heard that is not this node's own.
func (c *core) reportForeign(now time.Time) {
	if c.ring.RingId == "" {
		return
	}
	for _, id := range c.rings.ids(now) {
		h := c.rings[id]
		if id == c.ring.RingId || now.Sub(h.reported) < durations.RingReport {
			continue
		}
		c.log(loudly(h.reported.IsZero() && !c.manyRings), "heard another ring of this cluster",
			"cluster", c.cluster, "ring", c.ring.RingId, "other-ring", id, "peer", h.from.Name, "addresses", h.from.Addresses, "from", h.source,
			"hint", TwoRingsHint)
		c.emit(h.report(""))
		h.reported = now
	}
}

// reportSplit reports the other ring with this id while both have a leader.
func (c *core) reportSplit(now time.Time) {
	s := &c.split
	switch {
	case c.ring.RingId == "" || s.info.GetRingId() != c.ring.RingId || s.info.RefoundedAt == c.ring.RefoundedAt,
		c.ring.Leader == "" && !c.ring.Leads,
		now.Sub(s.last) > durations.RingPresent,
		now.Sub(s.reported) < durations.RingReport:
		return
	}
	why := fmt.Sprintf("this one was founded again from the disk of %s by arc recover, and the other one was not gone", c.ring.RefoundedFrom)
	if s.info.RefoundedAt > c.ring.RefoundedAt {
		why = fmt.Sprintf("it was founded again from the disk of %s by arc recover, and this one was not gone", s.info.RefoundedFrom)
	}
	c.log(loudly(s.reported.IsZero() || s.told != s.info.RefoundedAt), "heard another ring that has the id of this one",
		"cluster", c.cluster, "ring", c.ring.RingId, "reason", why, "other-leader", s.leader,
		"peer", s.from.Name, "addresses", s.from.Addresses, "from", s.source,
		"hint", TwoRingsHint)
	c.emit(s.report(why))
	s.reported, s.told = now, s.info.RefoundedAt
}

// wanted reports whether a search may end with this ring: the node's own, or for a
// node without one the only ring in reach.
func (c *core) wanted(now time.Time, id string) bool {
	if c.ring.RingId != "" {
		return id == c.ring.RingId
	}
	return c.rings.other(now, id) == ""
}

// consider takes an answer of a ring's member to this node's search.
func (c *core) consider(now time.Time, from netip.AddrPort, node *discoveryv1.Node, r *discoveryv1.Ring) {
	if !c.wanted(now, r.RingId) {
		return
	}
	leader, addresses := leaderOf(r, node)
	f := Found{
		RingID: r.RingId, LeaderName: leader, LeaderAddresses: nearestFirst(addresses, from.Addr()),
		From: node.Name, FromAddresses: nearestFirst(node.Addresses, from.Addr()),
	}
	if w := c.found.word; len(f.LeaderAddresses) > 0 || w != nil && w.is(node) {
		// The founder that this node accepted leads as soon as a majority is there.
		c.finish(now, f)
	} else if c.search.leaderless == nil {
		c.search.leaderless, c.search.leaderlessAt = &f, now.Add(durations.LeaderWait)
	}
}

// setRing takes in which ring this node belongs to now; an empty id means none.
func (c *core) setRing(now time.Time, r *discoveryv1.Ring) {
	leads := r.Leads && !(c.ring.Leads && c.ring.RingId == r.RingId)
	leads = leads || c.found.decided && r.RingId != "" // its acceptors wait
	other := r.RingId != c.ring.RingId
	if other {
		c.found.leave()
		for _, h := range c.rings {
			h.reported = time.Time{}
		}
	}
	if r.RingId != "" && r.Leader != "" {
		c.found.drop()
	}
	c.ring = r
	if r.RingId == "" {
		return
	}
	c.reportForeign(now)
	c.reportSplit(now)
	if other {
		// Their hellos may have come before this node knew that it is in the ring too.
		for _, name := range keys(c.heard.byName, func(h *heard) bool { return h.fresh(now) && h.ringID == r.RingId }) {
			c.emit(fellow{c.heard.byName[name].node})
		}
	}
	if leads {
		// Those who accepted this founder, or look for the leader, wait.
		c.sayHello(now, 0)
		c.quietAt = now.Add(durations.LeaderAgain)
	}
}

// other returns a ring heard lately that is not the given one, "" for none.
func (t ringTable) other(now time.Time, id string) string {
	for _, other := range t.ids(now) {
		if other != id {
			return other
		}
	}
	return ""
}

// ids returns the rings heard lately, sorted.
func (t ringTable) ids(now time.Time) []string {
	return keys(t, func(h *ringHeard) bool { return now.Sub(h.last) <= durations.RingPresent })
}

func (t ringTable) dropOldest() {
	oldest := slices.MinFunc(slices.Collect(maps.Keys(t)), func(a, b string) int {
		return cmp.Or(t[a].last.Compare(t[b].last), cmp.Compare(a, b))
	})
	delete(t, oldest)
}
