package coordinator

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// otherRings are the rings of this cluster beside the own one. Each may have a
// leader: somebody has to stop one of them.
type otherRings struct {
	mu    sync.Mutex
	heard map[string]otherRing
}

type otherRing struct {
	at   time.Time
	wire *arcv1.OtherRing
}

// hear takes a report in; it reports whether the ring is new.
func (o *otherRings) hear(now time.Time, r *arcv1.OtherRing) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropOld(now)
	key := r.GetRingId() + " " + r.GetSplit()
	_, known := o.heard[key]
	if !known && len(o.heard) >= limits.OtherRings {
		return false
	}
	o.heard[key] = otherRing{now, r}
	return !known
}

func (o *otherRings) dropOld(now time.Time) {
	maps.DeleteFunc(o.heard, func(_ string, r otherRing) bool { return now.Sub(r.at) > durations.OtherRing })
}

// list returns those heard lately, sorted, but for the own one. One with the own
// one's id is another if its members say so.
func (o *otherRings) list(now time.Time, own string) []*arcv1.OtherRing {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropOld(now)
	var out []*arcv1.OtherRing
	for _, r := range o.heard {
		if (r.wire.GetRingId() == own) == (r.wire.GetSplit() != "") {
			out = append(out, r.wire)
		}
	}
	slices.SortFunc(out, func(a, b *arcv1.OtherRing) int { return strings.Compare(a.GetRingId(), b.GetRingId()) })
	return out
}

// heardOtherRing tells the operator of another ring: discovery logs it, status
// lists it, and watchers get an event.
func (n *node) heardOtherRing(r *arcv1.OtherRing) {
	if !n.foreign.hear(time.Now(), r) {
		return
	}
	if l := n.loop.Load(); l != nil {
		l.Announce(func(s *ring.State) *arcv1.Event { return n.events.OtherRing(s, r.GetFrom(), r) })
	}
}
