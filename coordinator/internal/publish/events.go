package publish

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// Event types, beside those that are ring.ChangeKinds.
const (
	eventSnapshot   = "snapshot"
	eventLeaderLost = "leader_lost"
	eventClaimGot   = "claim_gained"
	eventClaimLost  = "claim_lost"
	eventRelinked   = "relinked"
	eventSuspected  = "suspected"
	eventCleared    = "cleared"
	eventCertified  = "certified"
	eventMonLost    = "monitor_lost"
	eventMonBack    = "monitor_back"
	eventOtherRing  = "other_ring"
)

// fields makes a detail of plain values; uint64 become strings as everywhere
// in the JSON contract.
func fields(kv map[string]any) *structpb.Struct {
	s := &structpb.Struct{Fields: make(map[string]*structpb.Value, len(kv))}
	for k, v := range kv {
		switch v := v.(type) {
		case uint64:
			s.Fields[k] = structpb.NewStringValue(strconv.FormatUint(v, 10))
		case string:
			s.Fields[k] = structpb.NewStringValue(v)
		case bool:
			s.Fields[k] = structpb.NewBoolValue(v)
		case []string:
			list := make([]*structpb.Value, len(v))
			for i, s := range v {
				list[i] = structpb.NewStringValue(s)
			}
			s.Fields[k] = structpb.NewListValue(&structpb.ListValue{Values: list})
		default:
			panic(fmt.Sprintf("coordinator: event detail %s is a %T", k, v))
		}
	}
	return s
}

// Identity is what a node says of itself, besides what its ring knows.
type Identity struct{ Name, Cluster, Version string }

// Events writes down what happened with the epoch and token of the state
// in which it did.
type Events struct {
	// self says who this node is in a status.
	self Identity
	wall func() time.Time
	// monitorMissing says why the own monitor does not run; nil or empty while
	// it does.
	monitorMissing func() string
}

// NewEvents makes an eventWriter of the wall clock, and of what says why the own
// monitor does not run; that may be nil.
func NewEvents(self Identity, wall func() time.Time, monitorMissing func() string) Events {
	return Events{self, wall, monitorMissing}
}

func (e Events) event(s *ring.State, kind, node string, detail *structpb.Struct) *arcv1.Event {
	return &arcv1.Event{Time: timestamppb.New(e.wall()), Epoch: s.Epoch, Term: s.Term, Type: kind, Node: node, Detail: detail}
}

// Snapshot is what a new subscriber sees first, and every subscriber when this node
// is back in the ring; its detail has the fields of `arc status -o json`.
func (e Events) Snapshot(v *View, now election.Instant) *arcv1.Event {
	return e.event(v.Ring, eventSnapshot, e.self.Name, detailOf(e.Status(v, now)))
}

// Status is what `arc status` prints.
func (e Events) Status(v *View, now election.Instant) *arcv1.StatusResponse {
	r := statusToWire(e.self, v, now, e.wall())
	if e.monitorMissing != nil {
		r.MonitorMissing = e.monitorMissing()
	}
	return r
}

// Monitor says that the own monitor does not run, and whom nobody watches from
// here meanwhile; or that it runs again.
func (e Events) Monitor(s *ring.State, id uint64, missing string) *arcv1.Event {
	next, _ := s.Successor(id)
	if missing == "" {
		return e.event(s, eventMonBack, e.self.Name, fields(map[string]any{"target": next.Name}))
	}
	return e.event(s, eventMonLost, e.self.Name, fields(map[string]any{"target": next.Name, "why": missing}))
}

// Changes turns committed changes into events. An appointment is not one: it
// shows in the heir.
func (e Events) Changes(s *ring.State, changes []ring.Change) []*arcv1.Event {
	var out []*arcv1.Event
	for _, c := range changes {
		m := c.Member
		switch c.Kind {
		case ring.Joined, ring.Returned:
			// Who was restarted with its disk is back under its old id.
			out = append(out, e.event(s, string(ring.Joined), m.Name, fields(map[string]any{
				"id": m.ID, "incarnation": m.Incarnation, "addresses": m.Addresses, "witness": m.Witness, "returned": c.Kind == ring.Returned,
			})))
		case ring.Left:
			out = append(out, e.event(s, string(c.Kind), m.Name, fields(map[string]any{"id": m.ID})))
		case ring.Evicted:
			by := ""
			if w, ok := s.Member(c.By); ok {
				by = w.Name
			}
			out = append(out, e.event(s, string(c.Kind), m.Name, fields(map[string]any{
				"id": m.ID, "incarnation": m.Incarnation, "evidence": string(c.Evidence), "by": by,
			})))
		case ring.LeaderDeclared:
			out = append(out, e.event(s, string(c.Kind), m.Name, detailOf(leadershipToWire(*c.Leadership))))
		case ring.SettingsChanged:
			out = append(out, e.event(s, string(c.Kind), "", detailOf(SettingsToWire(s.Settings))))
		}
	}
	return out
}

// Suspicion says that a member is suspected, cleared, or certified dead.
func (e Events) Suspicion(s *ring.State, x election.SuspicionChanged) *arcv1.Event {
	if c := x.Certificate; c != nil {
		return e.event(s, eventCertified, c.Name, fields(map[string]any{
			"id": c.ID, "incarnation": c.Incarnation, "exit": c.Exit, "clean": c.Clean, "why": x.Why,
		}))
	}
	kind := eventSuspected
	if x.Suspicion.Cleared {
		kind = eventCleared
	}
	return e.event(s, kind, NameOf(s, x.Suspicion.ID), fields(map[string]any{
		"id": x.Suspicion.ID, "incarnation": x.Suspicion.Incarnation, "evidence": string(x.Suspicion.Evidence),
		"by": NameOf(s, x.Suspicion.By), "why": x.Why,
	}))
}

// Claim says that this node's claim began or ended.
func (e Events) Claim(s *ring.State, x election.ClaimChanged) *arcv1.Event {
	kind := eventClaimLost
	if x.Claiming {
		kind = eventClaimGot
	}
	detail := fields(map[string]any{"term": x.Term, "why": x.Why})
	if p := phasesToWire(x.Phases); p != nil {
		detail.Fields["phases"] = structpb.NewStructValue(detailOf(p))
	}
	return e.event(s, kind, e.self.Name, detail)
}

// LeaderLost says that nobody is known to lead, or that the leader changed.
func (e Events) LeaderLost(s *ring.State, name string, term uint64, why string) *arcv1.Event {
	return e.event(s, eventLeaderLost, name, fields(map[string]any{"term": term, "why": why}))
}

// Relinked says that the own monitor has another target.
func (e Events) Relinked(s *ring.State, from, to string, temporary bool) *arcv1.Event {
	return e.event(s, eventRelinked, e.self.Name, fields(map[string]any{"from": from, "target": to, "temporary": temporary}))
}

// OtherRing says that another ring of this cluster was heard, and through whom.
func (e Events) OtherRing(s *ring.State, from string, r *arcv1.OtherRing) *arcv1.Event {
	return e.event(s, eventOtherRing, from, fields(map[string]any{
		"ring": r.GetRingId(), "addresses": r.GetAddresses(), "leader": r.GetLeader(), "split": r.GetSplit(),
	}))
}

// NameOf is a member's name, or "" for one that is gone.
func NameOf(s *ring.State, id uint64) string {
	m, _ := s.Member(id)
	return m.Name
}

// Missed returns the changes that lead from one state to another when the
// commands in between were never seen, as after a snapshot from the leader.
// Who is gone may have left or been evicted: that is not known any more.
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
			l := l
			out = append(out, ring.Change{Kind: ring.LeaderDeclared, Member: ring.Member{ID: l.ID, Name: l.Name}, Leadership: &l})
		}
	}
	if from.RingID != "" && from.Settings != to.Settings {
		out = append(out, ring.Change{Kind: ring.SettingsChanged})
	}
	return out
}
