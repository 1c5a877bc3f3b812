package supervise

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	"github.com/arc-ring/arc/queue"
	"github.com/arc-ring/arc/ring"
)

// LinkToWire is what this member's monitor has to know of a Relink. The seq is
// the queue's.
func LinkToWire(r election.Relink, ringID, cluster string) *localv1.Link {
	s := r.Settings
	return &localv1.Link{
		Epoch: r.Epoch, Term: r.Term, Self: targetToWire(r.Self), Successors: ring.Each(r.Successors, targetToWire), Tell: ring.Each(r.Tell, targetToWire),
		Leader: r.LeaderID, LeaderIntervalMs: s.LeaderIntervalMS, LeaderMisses: s.LeaderMisses,
		IntervalMs: s.IntervalMS, Misses: s.Misses, HangAfterMs: s.HangAfterMS, RingId: ringID, Cluster: cluster,
		GrantUs: uint64(s.GrantLength().Microseconds()), BeatMs: uint32(s.BeatEvery().Milliseconds()),
	}
}

func targetToWire(m ring.Member) *localv1.Target {
	return &localv1.Target{Id: m.ID, Name: m.Name, Incarnation: m.Incarnation, Addresses: m.Addresses}
}

// detourDetections is how many detection times `arc relink --target` lasts unless it
// says otherwise. The node's own successor goes unwatched meanwhile.
const detourDetections = 5

// detour is a member that the monitor looks at in place of its successor, until
// the time end. The monitor goes back by itself; this is what others are told.
type detour struct {
	name string
	end  election.Instant
}

// DetourFor returns for how long a detour lasts when forMS was asked for.
func DetourFor(s ring.Settings, forMS uint64) (time.Duration, error) {
	if forMS > queue.MaxDetourMS {
		return 0, fmt.Errorf("%w: a temporary link of %v: at most %v, since the ring's own neighbour is not watched meanwhile",
			ring.ErrInvalid, time.Duration(min(forMS, 1<<40))*time.Millisecond, queue.MaxDetourMS*time.Millisecond)
	}
	if forMS == 0 {
		return min(max(detourDetections*s.Detection(false), durations.DetourLeast), queue.MaxDetourMS*time.Millisecond), nil
	}
	return time.Duration(forMS) * time.Millisecond, nil
}

// RelinkTo makes the monitor probe another member for a while, at most until the
// next link, and returns the name of the one that it probed before.
func (s *Supervisor) RelinkTo(now election.Instant, m ring.Member, d time.Duration) (from string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil || !s.registered {
		return "", errNoMonitor
	}
	link := proto.CloneOf(s.link)
	link.Detour, link.DetourMs = targetToWire(m), uint64(max(d.Milliseconds(), 1))
	link.Temporary, link.Redial = true, true
	from, s.detour = s.targetLocked(), detour{m.Name, now.Add(d)}
	return from, s.sendLocked(link)
}

// Returned takes the monitor's word that its detour is over, and returns the
// names of whom it looked at and looks at now.
func (s *Supervisor) Returned() (from, to string, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.detour.name == "" {
		return "", "", false // a newer link ended it first
	}
	from, s.detour = s.detour.name, detour{}
	return from, s.targetLocked(), true
}

// OnDetour returns the temporary target and how long the monitor still looks at
// it; ok is false if there is none.
func (s *Supervisor) OnDetour(now election.Instant) (name string, left time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.detour.name == "" || now >= s.detour.end {
		return "", 0, false
	}
	return s.detour.name, s.detour.end.Sub(now), true
}
