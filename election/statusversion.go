package election

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// StatusVersion is what Status is made of. Two that are equal
// stand for the same Status, so that an owner who steps the Node hundreds of times
// a second need not have it written out each time. It means nothing by itself.
type StatusVersion struct {
	ring             *ring.State
	conf             *raftpb.ConfState
	lead             *leading
	raft             raftState
	applied, dropped uint64
	why, missing     string
	lost             string
	absent, hangs    bool
	waits            time.Duration
	claims, proven   bool
	away, unheard    [2]uint64
	removed          bool
	gone, sealed     int
	suspected        uint64
}

// StatusVersion returns what the Status at now would be made of.
func (n *Node) StatusVersion(now Instant) StatusVersion {
	l := StatusVersion{
		ring: n.ring, conf: n.conf, lead: n.leadership.lead, raft: n.raftState, applied: n.applied, dropped: n.dropped,
		removed: n.removed, hangs: n.hangsAt(now), gone: n.gone.Len(), sealed: len(n.sealed), suspected: n.roster.suspicionChanges,
	}
	l.raft.commit, l.raft.transferee = 0, 0 // neither is in a Status
	if n.leads() {
		l.why = n.leadership.lead.why
		l.claims = n.leadership.claim(now) != 0
	}
	if l.proven = now < n.following.leaderUntil(); !l.proven {
		s := n.status
		l.missing = n.Missing(now)
		l.absent, l.lost = s.knowsAbsent(now), s.lostLeader(now)
		l.away = s.bits(func(id uint64) bool { return !s.isThere(id, now) })
		if unheard := s.unheard(now); len(unheard) > 0 {
			l.unheard = s.bits(func(id uint64) bool { return slices.Contains(unheard, id) })
		}
	}
	if now < n.promises.waitUntil {
		l.waits = 1 + n.promises.waitUntil.Sub(now).Round(time.Millisecond)
	}
	return l
}

// bits has a bit for each voter that fulfils a condition, by its place in the two halves
// of the configuration. There are fewer than 64 voters in each.
func (s *status) bits(fulfils func(id uint64) bool) (b [2]uint64) {
	for half, voters := range [2][]uint64{s.conf.GetVoters(), s.conf.GetVotersOutgoing()} {
		for i, id := range voters {
			if fulfils(id) {
				b[half] |= 1 << (i % 64)
			}
		}
	}
	return b
}
