package discovery

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// clustersMost bounds the other clusters that are remembered: anybody can make
// up their names.
const clustersMost = 8

// heardTable remembers the nodes that were heard, by name, at most limits.Nodes of
// them.
type heardTable struct {
	byName map[string]*heard
	// others are names that only others say they heard, and when.
	others map[string]time.Time
	// sources are where nodes were heard from, and when.
	sources map[netip.Addr]time.Time
	full    bool
}

// heard is what is known of one name.
type heard struct {
	node   *discoveryv1.Node
	source netip.Addr
	// since is when this incarnation was first heard, last when it was last.
	since, last time.Time
	expect      int
	ringID      string
	// before is the incarnation that this one took the place of; if that is
	// heard again the two are a conflict, seen last at conflict.
	before   *discoveryv1.Node
	conflict time.Time

	warnedConflict, warnedExpect bool
}

func (h *heard) fresh(now time.Time) bool { return now.Sub(h.last) <= durations.NamePresent }

// hear takes in the sender of a hello or an answer.
func (c *core) hear(now time.Time, from netip.AddrPort, said content) {
	node, ring, f := said.GetNode(), said.GetRing(), said.GetFounding()
	t := &c.heard
	h := t.byName[node.Name]
	if h == nil {
		if !room(t.byName, node.Name, limits.Nodes, func(_ string, h *heard) bool { return !h.fresh(now) }) {
			if !t.full {
				t.full = true
				c.log(hclog.Warn, "too many names heard, ignoring new ones", "cluster", c.cluster, "names", limits.Nodes, "node", node.Name)
			}
			return
		}
		h = &heard{node: node, since: now}
		t.byName[node.Name], t.full = h, false
	}
	if h.node.Incarnation != node.Incarnation {
		if h.before.GetIncarnation() == node.Incarnation && now.Sub(h.since) >= durations.NameRival {
			h.conflict = now
			if !h.warnedConflict {
				h.warnedConflict = true
				c.log(hclog.Warn, "two running coordinators have the same name",
					"peer", node.Name, "addresses", node.Addresses, "other-addresses", h.node.Addresses,
					"hint", "give one of them another --name")
			}
		}
		h.before = nil
		if !sameSet(h.node.Addresses, node.Addresses) {
			h.before = h.node
		}
		h.since = now
	}
	h.node, h.source, h.last = node, from.Addr().Unmap(), now
	if at := h.source.WithZone(""); room(t.sources, at, limits.Nodes, func(a netip.Addr, _ time.Time) bool { return !t.from(now, a) }) {
		t.sources[at] = now
	}
	h.expect, h.ringID = int(f.GetExpect()), ring.GetRingId()
	delete(t.others, node.Name)

	if c.expect > 0 && h.expect > 0 && h.expect != c.expect && h.ringID == "" && c.ring.RingId == "" && !h.warnedExpect {
		h.warnedExpect = true
		c.log(hclog.Warn, "another node expects another number of nodes",
			"peer", node.Name, "from", from, "expect", c.expect, "peer-expect", h.expect,
			"hint", "give the same --expect N to all")
	}
	if ring != nil {
		c.hearRing(now, from, node, ring)
		if ring.RingId == c.ring.RingId {
			c.emit(fellow{node})
		}
	}
	c.heardFounder(now, node, f)
}

// from reports whether a node was heard from the address lately.
func (t *heardTable) from(now time.Time, a netip.Addr) bool {
	last, known := t.sources[a]
	return known && now.Sub(last) <= durations.NamePresent
}

// isNew reports whether the name's incarnation was first heard lately.
func (t *heardTable) isNew(now time.Time, name string) bool {
	h, ok := t.byName[name]
	return ok && now.Sub(h.since) <= durations.NameNew
}

// names returns the names heard lately that an answer has room for, sorted.
func (t *heardTable) names(now time.Time) []string {
	names := keys(t.byName, func(h *heard) bool { return h.fresh(now) })
	return names[:min(len(names), limits.Heard)]
}

// founders returns the names of ringless nodes, heard lately, that expect as
// many as we do, sorted.
func (t *heardTable) founders(now time.Time, expect int) []string {
	return keys(t.byName, func(h *heard) bool { return h.fresh(now) && h.ringID == "" && h.expect == expect && expect > 0 })
}

// lowest returns the first of the sorted names that is no witness.
func (t *heardTable) lowest(names []string) (string, bool) {
	for _, name := range names {
		if h := t.byName[name]; h != nil && !h.node.Witness {
			return name, true
		}
	}
	return "", false
}

// told remembers names that somebody else heard and we did not.
func (t *heardTable) told(now time.Time, self string, names []string) {
	stale := func(_ string, at time.Time) bool { return now.Sub(at) > durations.NamePresent }
	for _, name := range names {
		h := t.byName[name]
		if name != self && (h == nil || !h.fresh(now)) && room(t.others, name, limits.Nodes, stale) {
			t.others[name] = now
		}
	}
}

// toldNames returns the nodes which others hear and this one does not, sorted.
func (t *heardTable) toldNames(now time.Time) []string {
	return keys(t.others, func(at time.Time) bool { return now.Sub(at) <= durations.NamePresent })
}

// clusterHeard is the coordinator of another cluster that was heard last.
type clusterHeard struct {
	last   time.Time
	name   string
	source netip.AddrPort
}

// hearCluster remembers that another cluster shares the network: its name, or
// this node's, may be mistyped.
func (c *core) hearCluster(now time.Time, from netip.AddrPort, cluster, name string) {
	if room(c.clusters, cluster, clustersMost, func(_ string, h clusterHeard) bool { return now.Sub(h.last) > durations.RingPresent }) {
		c.clusters[cluster] = clusterHeard{now, name, from}
	}
}

// otherClusters are those heard lately, each with one of its coordinators, sorted.
func (c *core) otherClusters(now time.Time) (all []string) {
	for _, cluster := range keys(c.clusters, func(h clusterHeard) bool { return now.Sub(h.last) <= durations.RingPresent }) {
		h := c.clusters[cluster]
		all = append(all, fmt.Sprintf("%q (%s at %s)", cluster, h.name, h.source.Addr().Unmap()))
	}
	return all
}

// room reports whether a table has the key, or has room for it once all that is
// stale is gone.
func room[K comparable, V any](table map[K]V, key K, most int, stale func(K, V) bool) bool {
	if _, known := table[key]; known || len(table) < most {
		return true
	}
	maps.DeleteFunc(table, stale)
	return len(table) < most
}

// keys returns the keys of what counts, sorted.
func keys[V any](table map[string]V, counts func(V) bool) (all []string) {
	for key, v := range table {
		if counts(v) {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return all
}

// sameSet reports whether both hold the same addresses in any order.
func sameSet(a, b []string) bool {
	set := func(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
	return slices.Equal(set(a), set(b))
}
