package devring

import (
	"fmt"
	"strconv"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// checker judges G1 as events come in: along every stream tokens strictly
// rise, over all streams a term has one leader, and whoever claims a term is
// the one that it was declared for. It also sees that an id never comes twice.
type checker struct {
	newest   map[string]uint64 // by stream
	declared map[uint64]string // by term: "name (id)"
	claimed  map[uint64]string // by term: name
	ids      map[uint64]string // by id: name
	found    []string
}

// violationsKept bounds the list: one broken rule tends to break for ever.
const violationsKept = 100

func newChecker() *checker {
	return &checker{newest: map[string]uint64{}, declared: map[uint64]string{}, claimed: map[uint64]string{}, ids: map[uint64]string{}}
}

func (c *checker) see(ev Event, stream string) {
	switch ev.GetType() {
	case "snapshot":
		c.newest[stream] = ev.GetTerm()
	case "leader_declared":
		if last := c.newest[stream]; ev.GetTerm() <= last {
			c.violation("%s: token %d of %s after token %d", stream, ev.GetTerm(), ev.GetNode(), last)
		}
		c.newest[stream] = ev.GetTerm()
		c.one(c.declared, ev.GetTerm(), ev.GetNode()+" (id "+text(ev, "id")+")", "term %d has two leaders: %s and %s")
	case "claim_gained":
		term := ev.GetTerm()
		if t, err := strconv.ParseUint(text(ev, "term"), 10, 64); err == nil {
			term = t
		}
		c.one(c.claimed, term, ev.GetNode(), "term %d is claimed by both %s and %s")
	case "joined":
		if id, err := strconv.ParseUint(text(ev, "id"), 10, 64); err == nil {
			c.one(c.ids, id, ev.GetNode(), "id %d was given to both %s and %s")
		}
	}
}

// history checks what one node remembers.
func (c *checker) history(by string, h *arcv1.HistoryResponse) {
	var last uint64
	for _, e := range h.GetEntries() {
		if e.GetTerm() <= last {
			c.violation("history of %s: token %d of %s after token %d", by, e.GetTerm(), e.GetName(), last)
		}
		last = e.GetTerm()
		c.one(c.declared, e.GetTerm(), fmt.Sprintf("%s (id %d)", e.GetName(), e.GetId()), "term %d has two leaders: %s and %s (history)")
	}
}

func (c *checker) one(of map[uint64]string, key uint64, who, format string) {
	if before, ok := of[key]; ok && before != who {
		c.violation(format, key, before, who)
		return
	}
	of[key] = who
}

func (c *checker) violation(format string, args ...any) {
	if len(c.found) < violationsKept {
		c.found = append(c.found, fmt.Sprintf(format, args...))
	}
}

// text is a field of an event's detail as a string.
func text(ev Event, field string) string {
	return ev.GetDetail().GetFields()[field].GetStringValue()
}

// Violations returns what broke G1 so far, as seen in all nodes' streams.
func (r *Ring) Violations() []string {
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	return append([]string(nil), r.events.check.found...)
}

// Declared returns how many terms were seen to have a leader.
func (r *Ring) Declared() int {
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	return len(r.events.check.declared)
}

// CheckHistory holds a node's history against all that was seen.
func (r *Ring) CheckHistory(n *Node, h *arcv1.HistoryResponse) {
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	r.events.check.history(n.name, h)
}
