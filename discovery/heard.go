package discovery

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// heardTable remembers who was heard, by name, at most limits.Nodes of them.
type heardTable struct {
	byName map[string]*heard
	// others are names that only others say they heard, and when.
	others map[string]time.Time
	full   bool
}

// heard is what is known of one name.
type heard struct {
	node   Node
	source netip.Addr
	// since is when this incarnation was first heard, last when it was last.
	since, last time.Time
	expect      int
	ringID      string
	// before is the incarnation that this one took the place of; if that is
	// heard again the two are a conflict, seen last at conflict.
	before   *Node
	conflict time.Time

	warnedConflict, warnedExpect bool
}

func (h *heard) fresh(now time.Time) bool { return now.Sub(h.last) <= durations.NamePresent }

// hear takes in who sent a hello or an answer.
func (c *core) hear(now time.Time, from netip.AddrPort, node Node, ring *discoveryv1.Ring, f *discoveryv1.Founding) []effect {
	var out []effect
	h, ok := c.heard.enter(now, node)
	if !ok {
		if !c.heard.full {
			c.heard.full = true
			out = append(out, note{level: warn, message: "too many names heard, ignoring new ones", args: []any{"cluster", c.cluster, "names", limits.Nodes, "node", node.Name}})
		}
		return out
	}
	if h.node.Incarnation != node.Incarnation {
		if h.before != nil && h.before.Incarnation == node.Incarnation && now.Sub(h.since) >= durations.NameRival {
			h.conflict = now
			if !h.warnedConflict {
				h.warnedConflict = true
				out = append(out, note{level: warn, message: "two running coordinators have the same name", args: []any{
					"peer", node.Name, "addresses", node.Addresses, "other-addresses", h.node.Addresses,
					"hint", "give one of them another --name",
				}})
			}
		}
		h.before = nil
		if !sameSet(h.node.Addresses, node.Addresses) {
			old := h.node
			h.before = &old
		}
		h.since = now
	}
	h.node, h.source, h.last = node, from.Addr().Unmap(), now
	h.expect, h.ringID = int(f.GetExpect()), ring.GetRingId()
	delete(c.heard.others, node.Name)

	if c.expect > 0 && h.expect > 0 && h.expect != c.expect && h.ringID == "" && c.ring.RingID == "" && !h.warnedExpect {
		h.warnedExpect = true
		out = append(out, note{level: warn, message: "another node expects another number of nodes", args: []any{
			"peer", node.Name, "from", from, "expect", c.expect, "peer-expect", h.expect,
			"hint", "give the same --expect N to all",
		}})
	}
	if ring != nil {
		out = append(out, c.hearRing(now, from, node, ringFromWire(ring, node))...)
		if ring.RingId == c.ring.RingID {
			out = append(out, fellow{node.clone()})
		}
	}
	c.heardFounder(now, node, f)
	return out
}

// enter returns the name's entry, a new one if there is room.
func (t *heardTable) enter(now time.Time, node Node) (*heard, bool) {
	if h, ok := t.byName[node.Name]; ok {
		return h, true
	}
	if len(t.byName) >= limits.Nodes {
		for name, h := range t.byName {
			if !h.fresh(now) {
				delete(t.byName, name)
			}
		}
		if len(t.byName) >= limits.Nodes {
			return nil, false
		}
		t.full = false
	}
	if t.byName == nil {
		t.byName = map[string]*heard{}
	}
	h := &heard{node: node, since: now}
	t.byName[node.Name] = h
	return h, true
}

// isNew says whether the name's incarnation was first heard lately.
func (t *heardTable) isNew(now time.Time, name string) bool {
	h, ok := t.byName[name]
	return ok && now.Sub(h.since) <= durations.NameNew
}

// names returns all names heard lately, sorted.
func (t *heardTable) names(now time.Time) []string {
	var names []string
	for name, h := range t.byName {
		if h.fresh(now) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), limits.Heard)]
}

// founders returns the names of ringless nodes, heard lately, that expect as
// many as we do, sorted.
func (t *heardTable) founders(now time.Time, expect int) []string {
	var names []string
	for name, h := range t.byName {
		if h.fresh(now) && h.ringID == "" && h.expect == expect && expect > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
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

// conflicted returns a name of those that two live coordinators have.
func (t *heardTable) conflicted(now time.Time, names []string) (string, bool) {
	for _, name := range names {
		if h := t.byName[name]; h != nil && !h.conflict.IsZero() && now.Sub(h.conflict) <= durations.NamePresent {
			return name, true
		}
	}
	return "", false
}

// told remembers names that somebody else heard and we did not.
func (t *heardTable) told(now time.Time, self string, names []string) {
	for _, name := range names {
		if h := t.byName[name]; name == self || h != nil && h.fresh(now) {
			continue
		}
		if _, known := t.others[name]; !known && len(t.others) >= limits.Nodes {
			continue
		}
		if t.others == nil {
			t.others = map[string]time.Time{}
		}
		t.others[name] = now
	}
}

// toldOnly returns log arguments that name nodes which others hear and this
// one does not, none if there are none.
func (t *heardTable) toldOnly(now time.Time) []any {
	var names []string
	for name, at := range t.others {
		if now.Sub(at) > durations.NamePresent {
			delete(t.others, name)
		} else {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return []any{"heard-by-others", names}
}

// snapshot returns everybody heard lately, by name.
func (t *heardTable) snapshot(now time.Time) []Heard {
	var all []Heard
	for _, h := range t.byName {
		if h.fresh(now) {
			all = append(all, Heard{Node: h.node.clone(), Source: h.source, RingID: h.ringID, Expect: h.expect, Age: now.Sub(h.last)})
		}
	}
	slices.SortFunc(all, func(a, b Heard) int { return strings.Compare(a.Node.Name, b.Node.Name) })
	return all
}

// sameSet says whether both hold the same addresses in any order.
func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
