package supervise

import (
	"github.com/arc-ring/arc/election"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	"github.com/arc-ring/arc/ring"
)

// LinkToWire is what this member's monitor has to know of a Relink. The seq is
// the queue's.
func LinkToWire(r election.Relink, ringID, cluster string) *localv1.Link {
	s := r.Settings
	return &localv1.Link{
		Epoch: r.Epoch, Term: r.Term, Self: targetToWire(r.Self), Successors: targetsToWire(r.Successors), Tell: targetsToWire(r.Tell),
		Leader: r.LeaderID, LeaderIntervalMs: s.LeaderIntervalMS, LeaderMisses: s.LeaderMisses,
		IntervalMs: s.IntervalMS, Misses: s.Misses, HangAfterMs: s.HangAfterMS, RingId: ringID, Cluster: cluster,
		GrantUs: uint64(s.GrantLength().Microseconds()), BeatMs: uint32(s.BeatEvery().Milliseconds()),
	}
}

func targetToWire(m ring.Member) *localv1.Target {
	return &localv1.Target{Id: m.ID, Name: m.Name, Incarnation: m.Incarnation, Addresses: m.Addresses}
}

func targetsToWire(members []ring.Member) []*localv1.Target {
	out := make([]*localv1.Target, len(members))
	for i, m := range members {
		out[i] = targetToWire(m)
	}
	return out
}
