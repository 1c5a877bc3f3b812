package discovery

import (
	"fmt"
	"slices"
	"time"

	"github.com/arc-ring/arc/internal/durations"
)

// split is what was heard last of a ring with the own ring's id: arc recover
// founded one of the two again, and members of the other were not gone.
type split struct {
	ringHeard
	// told is the one that was told of last.
	told RingInfo
}

// hearSplit takes in a ring with the own one's id. Only one that has a leader
// counts: a former member that comes back says the old ring until it is told.
func (c *core) hearSplit(h ringHeard) {
	if h.info.RefoundedAt != c.ring.RefoundedAt && h.info.LeaderName != "" {
		c.split.ringHeard = h
	}
}

// reportSplit reports the other ring with this id while both have a leader.
func (c *core) reportSplit(now time.Time) []effect {
	s := &c.split
	o := s.info
	switch {
	case c.ring.RingID == "" || o.RingID != c.ring.RingID || o.RefoundedAt == c.ring.RefoundedAt,
		c.ring.LeaderName == "" && !c.ring.IsLeader,
		now.Sub(s.last) > durations.RingPresent,
		!s.reported.IsZero() && now.Sub(s.reported) < durations.RingReport:
		return nil
	}
	l := debug
	if s.reported.IsZero() || s.told.RefoundedAt != o.RefoundedAt {
		l = warn
	}
	s.reported, s.told = now, o
	why := c.whySplit(o)
	return []effect{
		note{level: l, message: "heard another ring that has the id of this one", args: []any{
			"cluster", c.cluster, "ring", c.ring.RingID, "reason", why, "other-leader", o.LeaderName,
			"peer", s.from.Name, "addresses", s.from.Addresses, "from", s.source,
			"hint", "two rings have two leaders: stop the coordinators of one of them, and remove their data directories",
		}},
		report{ForeignRing{RingID: o.RingID, Own: c.ring.RingID, Split: why, From: s.from.clone(), Source: s.source, LeaderName: o.LeaderName, LeaderAddresses: slices.Clone(o.LeaderAddresses)}},
	}
}

// whySplit says which of the two was founded again.
func (c *core) whySplit(o RingInfo) string {
	if o.RefoundedAt > c.ring.RefoundedAt {
		return fmt.Sprintf("it was founded again from the disk of %s by arc recover, and this one was not gone", o.RefoundedFrom)
	}
	return fmt.Sprintf("this one was founded again from the disk of %s by arc recover, and the other one was not gone", c.ring.RefoundedFrom)
}
