package election

import (
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// Look is what Status is made of, but for LeaseEnd. Two that are equal stand
// for the same Status, so that an owner who steps the Node hundreds of times a
// second need not have it written out each time. It means nothing by itself.
type Look struct {
	ring         *ring.State
	conf         *raftpb.ConfState
	lead         *leading
	role         raft.StateType
	term, leader uint64
	applied      uint64
	dropped      uint64
	why          string
	waits        time.Duration
	missing      string
	claims       bool
	proven       bool
	needed       int
	neededOf     string
	removed      bool
	gone, sealed int
	suspected    uint64
}

// Look returns what the Status at now would be made of.
func (n *Node) Look(now Instant) Look {
	l := Look{
		ring: n.ring, conf: n.conf, lead: n.lead, role: n.role, term: n.term, leader: n.raftLead, applied: n.applied,
		dropped: n.dropped, removed: n.removed, gone: len(n.gone), sealed: len(n.sealed), suspected: n.suspected,
	}
	if n.lead != nil {
		l.why = n.lead.why
		_, _, l.claims = n.Claim(now)
	}
	if l.proven = now < n.LeaderUntil(); !l.proven {
		t := n.tolerance(now)
		l.needed, l.neededOf = t.Needed, t.needs()
	}
	l.missing = n.Missing(now)
	if now < n.voter.waitUntil {
		l.waits = 1 + (n.voter.waitUntil - now).Round(time.Millisecond)
	}
	return l
}
