package discovery

import (
	"net/netip"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
)

// ringTable remembers the rings of the cluster that were heard.
type ringTable map[string]*ringHeard

type ringHeard struct {
	last, reported time.Time
	info           RingInfo
	from           Node
	source         netip.AddrPort
	warned         bool
}

// hearRing takes in that a node said which ring it belongs to.
func (c *core) hearRing(now time.Time, from netip.AddrPort, node Node, r RingInfo) []effect {
	h, ok := c.rings[r.RingID]
	if !ok {
		if len(c.rings) >= limits.Rings {
			c.rings.dropOldest()
			c.manyRings = true
		}
		if c.rings == nil {
			c.rings = ringTable{}
		}
		h = &ringHeard{}
		c.rings[r.RingID] = h
	}
	h.last, h.info, h.from, h.source = now, r, node, from
	out := c.reportForeign(now)
	if r.RingID == c.ring.RingID {
		c.hearSplit(ringHeard{last: now, info: r, from: node, source: from, reported: c.split.reported})
		out = append(out, c.reportSplit(now)...)
	}
	if c.ring.RingID == "" && c.search != nil {
		other, two := c.rings.other(now, r.RingID)
		if two {
			c.search.leaderless = nil
		}
		if two && !h.warned {
			h.warned = true
			out = append(out, note{level: warn, message: "two rings of one cluster, joining neither by discovery", args: []any{
				"cluster", c.cluster, "ring", r.RingID, "other-ring", other, "from", node.Name,
				"hint", "stop one of them, or name a member of the right one with --join HOST:PORT",
			}})
		}
	}
	return out
}

// reportForeign reports each ring lately heard that is not this node's own.
func (c *core) reportForeign(now time.Time) []effect {
	if c.ring.RingID == "" {
		return nil
	}
	var out []effect
	for _, id := range c.rings.ids(now) {
		h := c.rings[id]
		if id == c.ring.RingID || !h.reported.IsZero() && now.Sub(h.reported) < durations.RingReport {
			continue
		}
		l := debug
		if h.reported.IsZero() && !c.manyRings {
			l = warn
		}
		h.reported = now
		out = append(out,
			note{level: l, message: "heard another ring of this cluster", args: []any{
				"cluster", c.cluster, "ring", c.ring.RingID, "other-ring", id, "peer", h.from.Name, "addresses", h.from.Addresses, "from", h.source,
				"hint", "two rings have two leaders: stop one of them, or give it another --cluster",
			}},
			report{ForeignRing{RingID: id, Own: c.ring.RingID, From: h.from.clone(), Source: h.source, LeaderName: h.info.LeaderName, LeaderAddresses: slices.Clone(h.info.LeaderAddresses)}})
	}
	return out
}

// wanted says whether a search may end with this ring: the node's own, or for a
// node without one the only ring in reach.
func (c *core) wanted(now time.Time, id string) bool {
	if c.ring.RingID != "" {
		return id == c.ring.RingID
	}
	_, two := c.rings.other(now, id)
	return !two
}

// consider takes an answer of a ring's member to this node's search.
func (c *core) consider(now time.Time, from netip.AddrPort, node Node, r RingInfo) []effect {
	if !c.wanted(now, r.RingID) {
		return nil
	}
	f := Found{
		RingID: r.RingID, LeaderName: r.LeaderName, LeaderAddresses: nearestFirst(r.LeaderAddresses, from.Addr()),
		From: node.Name, FromAddresses: nearestFirst(node.Addresses, from.Addr()),
	}
	if w := c.found.word; len(f.LeaderAddresses) > 0 || w != nil && w.is(node) {
		// The founder that this node accepted leads as soon as a majority is there.
		return c.finish(now, f)
	}
	if c.search.leaderless == nil {
		c.search.leaderless, c.search.leaderlessAt = &f, now.Add(durations.LeaderWait)
	}
	return nil
}

// setRing takes in which ring this node belongs to now; an empty id means none.
func (c *core) setRing(now time.Time, r RingInfo) []effect {
	leads := r.IsLeader && !(c.ring.IsLeader && c.ring.RingID == r.RingID)
	leads = leads || c.found.decided && r.RingID != "" // its acceptors wait
	if r.RingID != c.ring.RingID {
		c.found.leave()
		for _, h := range c.rings {
			h.reported = time.Time{}
		}
	}
	if r.RingID != "" && r.LeaderName != "" {
		c.found.drop()
	}
	c.ring = r
	if r.RingID == "" {
		return nil
	}
	out := append(c.reportForeign(now), c.reportSplit(now)...)
	if leads {
		// Those who accepted this founder, or look for the leader, wait.
		out = append(out, c.makeHello(now, 0))
		c.quietAt = now.Add(durations.LeaderAgain)
	}
	return out
}

// present returns a ring that was heard lately.
func (t ringTable) present(now time.Time) (string, *ringHeard, bool) {
	for _, id := range t.ids(now) {
		return id, t[id], true
	}
	return "", nil, false
}

// other returns a ring heard lately that is not the given one.
func (t ringTable) other(now time.Time, id string) (string, bool) {
	for _, other := range t.ids(now) {
		if other != id {
			return other, true
		}
	}
	return "", false
}

// ids returns the rings heard lately, sorted.
func (t ringTable) ids(now time.Time) []string {
	var ids []string
	for id, h := range t {
		if now.Sub(h.last) <= durations.RingPresent {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (t ringTable) dropOldest() {
	oldest := ""
	for id, h := range t {
		if o := t[oldest]; o == nil || h.last.Before(o.last) || h.last.Equal(o.last) && id < oldest {
			oldest = id
		}
	}
	delete(t, oldest)
}
