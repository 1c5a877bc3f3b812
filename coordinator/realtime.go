package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/arc-ring/arc/internal/durations"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

// realtimeNamed bounds how many members a note names.
const realtimeNamed = 8

// realtimeRisk is what happens without --realtime.
const realtimeRisk = "a busy machine may delay a probe for longer than silence is tolerated"

// mindRealtime warns once when the ring gets a timing that is meant for
// --realtime, or this node such a ring, and it runs without. Only the goroutine
// that owns the membership calls it.
func (n *node) mindRealtime(s ring.Settings) {
	lacks := s.NeedsRealtime() && !n.o.Realtime
	if lacks && !n.lacksRealtime {
		n.log.Warn("the ring's timing is meant for --realtime, and this coordinator runs without: "+realtimeRisk,
			"profile", s.Profile, "tolerated", s.Detection(true), "hint", "restart it with --realtime, or choose another profile")
	}
	n.lacksRealtime = lacks
}

// realtimeNotes tells the operator who made the ring's timing one that is meant
// for --realtime which members run without.
func (n *node) realtimeNotes(ctx context.Context, was ring.Settings, s *ring.State) []string {
	if was.NeedsRealtime() || !s.Settings.NeedsRealtime() {
		return nil
	}
	without, silent := n.withoutRealtime(ctx, s)
	var notes []string
	note := func(names []string, what string) {
		if len(names) == 0 {
			return
		}
		if k := len(names) - realtimeNamed; k > 0 {
			names = append(names[:realtimeNamed:realtimeNamed], fmt.Sprintf("%d more", k))
		}
		notes = append(notes, fmt.Sprintf("silence is tolerated for %v now, which is meant for coordinators that run with --realtime; %s: %s; %s",
			s.Settings.Detection(true), what, strings.Join(names, ", "), realtimeRisk))
	}
	note(without, "without it run")
	note(silent, "no word came from")
	return notes
}

// withoutRealtime asks all members, and names those that run without --realtime,
// and those that do not answer in time.
func (n *node) withoutRealtime(ctx context.Context, s *ring.State) (without, silent []string) {
	ctx, cancel := context.WithTimeout(ctx, durations.RealtimeWait)
	defer cancel()
	var mu sync.Mutex
	atOnce(s.Members, func(m ring.Member) {
		realtime, err := n.o.Realtime, error(nil)
		if m.Name != n.o.Name {
			var r *peerv1.StandingResponse
			r, err = n.standingOf(ctx, m)
			realtime = r.GetRealtime()
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			silent = append(silent, m.Name)
		case !realtime:
			without = append(without, m.Name)
		}
	})
	slices.Sort(without)
	slices.Sort(silent)
	return without, silent
}

// standingOf asks a member, at the first of its addresses that leads to it.
func (n *node) standingOf(ctx context.Context, m ring.Member) (*peerv1.StandingResponse, error) {
	c, err := n.dialMember(ctx, m)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	v := n.hub.Load()
	return peerv1.NewPeerServiceClient(c).Standing(ctx, &peerv1.StandingRequest{Cluster: n.o.Cluster, RingId: v.RingID, Id: v.ID})
}
