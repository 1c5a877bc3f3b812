package publish

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/paths"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// Events writes down what happened with the epoch and token of the state
// in which it did.
type Events struct {
	// Name, Cluster and Version are what this node says of itself in a status, besides
	// what its ring knows.
	Name, Cluster, Version string
	// Wall is the wall clock.
	Wall func() time.Time
	// MonitorMissing says why the own monitor does not run; empty while it does.
	MonitorMissing func() string
}

// about fills in when an event happened, in which state, and about which node.
func (e Events) about(s *ring.State, node string, ev *arcv1.Event) *arcv1.Event {
	ev.Time, ev.Epoch, ev.Term, ev.Node = timestamppb.New(e.Wall()), s.Epoch, s.Term, node
	return ev
}

// Snapshot is what a new subscriber sees first, and every subscriber when this node
// is back in the ring; its detail is the status.
func (e Events) Snapshot(v *View, now election.Instant) *arcv1.Event {
	return e.about(v.Ring, e.Name, &arcv1.Event{Detail: &arcv1.Event_Snapshot{Snapshot: e.Status(v, now)}})
}

// Monitor says that the own monitor does not run, and whom nobody watches from
// here meanwhile; or that it runs again.
func (e Events) Monitor(s *ring.State, id uint64, missing string) *arcv1.Event {
	next, _ := s.Successor(id)
	if missing == "" {
		return e.about(s, e.Name, &arcv1.Event{Detail: &arcv1.Event_MonitorBack{MonitorBack: &arcv1.MonitorBack{Target: next.Name}}})
	}
	return e.about(s, e.Name, &arcv1.Event{Detail: &arcv1.Event_MonitorLost{MonitorLost: &arcv1.MonitorLost{Target: next.Name, Why: missing}}})
}

// Changes turns committed changes into events. An appointment is not one: it
// shows in the heir.
func (e Events) Changes(s *ring.State, changes []ring.Change) []*arcv1.Event {
	var out []*arcv1.Event
	for _, c := range changes {
		m, ev := c.Member, &arcv1.Event{}
		switch c.Kind {
		case ring.Joined, ring.Returned:
			// A member that was restarted with its disk is back under its old id.
			ev.Detail = &arcv1.Event_Joined{Joined: &arcv1.Joined{Id: m.ID, Incarnation: m.Incarnation, Addresses: m.Addresses, Witness: m.Witness, Returned: c.Kind == ring.Returned}}
		case ring.Left:
			ev.Detail = &arcv1.Event_Left{Left: &arcv1.Left{Id: m.ID}}
		case ring.Evicted:
			by := NameOf(s, c.By)
			if c.Evidence == ring.Certified {
				by = m.Name // its own monitor
			}
			ev.Detail = &arcv1.Event_Evicted{Evicted: &arcv1.Evicted{Id: m.ID, Incarnation: m.Incarnation, Evidence: string(c.Evidence), By: by}}
		case ring.LeaderDeclared:
			ev.Detail = &arcv1.Event_LeaderDeclared{LeaderDeclared: leadershipToWire(*c.Leadership)}
		case ring.SettingsChanged:
			ev.Detail = &arcv1.Event_SettingsChanged{SettingsChanged: SettingsToWire(s.Settings)}
		default:
			continue
		}
		out = append(out, e.about(s, m.Name, ev))
	}
	return out
}

// Suspicion says that a member is suspected, cleared, or certified dead.
func (e Events) Suspicion(s *ring.State, x election.SuspicionChanged) *arcv1.Event {
	if c := x.Certificate; c != nil {
		detail := &arcv1.Certified{Id: c.ID, Incarnation: c.Incarnation, Exit: c.Exit, Clean: c.Clean, Why: x.Why}
		return e.about(s, c.Name, &arcv1.Event{Detail: &arcv1.Event_Certified{Certified: detail}})
	}
	name := NameOf(s, x.Opinion.ID)
	detail := &arcv1.Suspicion{Id: x.Opinion.ID, Incarnation: x.Opinion.Incarnation, Evidence: string(x.Opinion.Evidence()), By: NameOf(s, x.Opinion.By), Why: x.Why}
	if x.Cleared {
		return e.about(s, name, &arcv1.Event{Detail: &arcv1.Event_Cleared{Cleared: detail}})
	}
	return e.about(s, name, &arcv1.Event{Detail: &arcv1.Event_Suspected{Suspected: detail}})
}

// Claim says that this node's claim began or ended.
func (e Events) Claim(s *ring.State, x election.ClaimChanged) *arcv1.Event {
	detail := &arcv1.Claim{Term: x.Term, Why: x.Why, Phases: phasesToWire(x.Phases)}
	if x.Claiming {
		return e.about(s, e.Name, &arcv1.Event{Detail: &arcv1.Event_ClaimGained{ClaimGained: detail}})
	}
	return e.about(s, e.Name, &arcv1.Event{Detail: &arcv1.Event_ClaimLost{ClaimLost: detail}})
}

// LeaderLost says that nobody is known to lead, or that the leader changed.
func (e Events) LeaderLost(s *ring.State, name string, term uint64, why string) *arcv1.Event {
	return e.about(s, name, &arcv1.Event{Detail: &arcv1.Event_LeaderLost{LeaderLost: &arcv1.LeaderLost{Term: term, Why: why}}})
}

// Relinked says that the own monitor has another target.
func (e Events) Relinked(s *ring.State, from, to string, temporary bool) *arcv1.Event {
	return e.about(s, e.Name, &arcv1.Event{Detail: &arcv1.Event_Relinked{Relinked: &arcv1.Relinked{From: from, Target: to, Temporary: temporary}}})
}

// OtherRing says that another ring of this cluster was heard, and through whom.
func (e Events) OtherRing(s *ring.State, from string, r *arcv1.OtherRing) *arcv1.Event {
	detail := &arcv1.OtherRingHeard{Ring: r.GetRingId(), Addresses: r.GetAddresses(), Leader: r.GetLeader(), Split: r.GetSplit()}
	return e.about(s, from, &arcv1.Event{Detail: &arcv1.Event_OtherRing{OtherRing: detail}})
}

// Paths says that paths over an interface of this node's are down, up again or gone.
func (e Events) Paths(s *ring.State, word paths.Word, detail *arcv1.PathsChanged) *arcv1.Event {
	event := &arcv1.Event{}
	switch word {
	case paths.Down:
		event.Detail = &arcv1.Event_PathDown{PathDown: detail}
	case paths.Up:
		event.Detail = &arcv1.Event_PathUp{PathUp: detail}
	case paths.Gone:
		event.Detail = &arcv1.Event_PathGone{PathGone: detail}
	}
	return e.about(s, e.Name, event)
}

// NameOf is a member's name, or "" for one that is gone.
func NameOf(s *ring.State, id uint64) string {
	m, _ := s.Member(id)
	return m.Name
}

// Missed returns the changes that lead from one state to another when the
// commands in between were never seen, as after a snapshot from the leader.
// A missing member may have left or been evicted: that is no longer known.
func Missed(from, to *ring.State) []ring.Change {
	var out []ring.Change
	for _, m := range from.Members {
		if _, ok := to.Member(m.ID); !ok {
			out = append(out, ring.Change{Kind: ring.Evicted, Member: m})
		}
	}
	for _, m := range to.Members {
		old, ok := from.Member(m.ID)
		switch {
		case !ok:
			out = append(out, ring.Change{Kind: ring.Joined, Member: m})
		case old.Incarnation != m.Incarnation:
			out = append(out, ring.Change{Kind: ring.Returned, Member: m})
		}
	}
	for i, l := range to.History {
		// To an empty state everything would be news: the newest says enough.
		if l.Term > from.Term && (from.Term != 0 || i == len(to.History)-1) {
			out = append(out, ring.Change{Kind: ring.LeaderDeclared, Member: ring.Member{ID: l.ID, Name: l.Name}, Leadership: &l})
		}
	}
	if from.RingID != "" && from.Settings != to.Settings {
		out = append(out, ring.Change{Kind: ring.SettingsChanged})
	}
	return out
}
