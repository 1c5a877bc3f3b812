package publish

import (
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// SettingsToWire and its kin turn ARC's values into the public messages.
func SettingsToWire(s ring.Settings) *arcv1.Settings {
	return &arcv1.Settings{
		Profile: s.Profile, LeaderIntervalMs: s.LeaderIntervalMS, LeaderMisses: s.LeaderMisses,
		IntervalMs: s.IntervalMS, Misses: s.Misses, LeaseMs: s.LeaseMS, DriftPpm: s.DriftPPM,
		StaggerMs: s.StaggerMS, HangAfterMs: s.HangAfterMS, MaxVoters: s.MaxVoters, GraceMs: s.GraceMS,
		LeaderGrants: s.LeaderGrants, ForgetAfterS: s.ForgetAfterS,
	}
}

// alive is the word in MemberStatus.state for a member that nothing speaks against.
const alive = "alive"

// stateOf is MemberStatus.state: the strongest of what speaks against a member.
func stateOf(s election.Status, id uint64) string {
	switch {
	case slices.Contains(s.Dead, id):
		return "dead"
	case slices.Contains(s.Suspects, id):
		return "suspect"
	case slices.Contains(s.Unheard, id):
		return "unheard"
	default:
		return alive
	}
}

// MembersToWire tells the members of v's ring.
func MembersToWire(v *View) []*arcv1.MemberStatus {
	return ring.Each(v.Ring.Members, func(m ring.Member) *arcv1.MemberStatus {
		ms := &arcv1.MemberStatus{
			Id: m.ID, Name: m.Name, Incarnation: m.Incarnation, Addresses: m.Addresses,
			Voter: slices.Contains(v.Status.Voters, m.ID), Witness: m.Witness, State: stateOf(v.Status, m.ID), Version: m.Version,
		}
		ms.Alive = ms.State == alive
		if next, ok := v.Ring.Successor(m.ID); ok {
			ms.Monitors = next.Name
		}
		return ms
	})
}

// Status is what `arc status` prints: v at the time now.
func (e Events) Status(v *View, now election.Instant) *arcv1.StatusResponse {
	r := &arcv1.StatusResponse{
		Cluster: e.Cluster, RingId: v.RingID, Epoch: v.Ring.Epoch, Term: v.Ring.Term,
		Self: e.Name, SelfId: v.ID, Phase: string(v.Phase), Version: e.Version, MonitorMissing: e.MonitorMissing(),
		Members: MembersToWire(v), Settings: SettingsToWire(v.Ring.Settings), Reason: v.Status.Reason,
		Voters: v.Status.Voters, Settled: v.Status.Settled, DiskHangs: v.Status.DiskHangs, Departed: ring.Each(v.Ring.Departed, departedToWire),
	}
	if n := len(v.Status.Voters); n > 0 {
		r.VotesNeeded = uint32(n/2 + 1)
	}
	if v.Ring.RingID != "" {
		r.StateHash = v.Ring.Hash()
	}
	if l, ok := v.Leader(now); ok {
		r.Leader = &arcv1.NodeRef{Id: l.ID, Name: l.Name}
		if k := len(v.Ring.History); k > 0 {
			since := time.UnixMicro(v.Ring.History[k-1].Since)
			r.LeaderSince, r.LeaderForMs = timestamppb.New(since), Millis(max(e.Wall().Sub(since), 0))
		}
	}
	t := v.Status.Tolerance
	r.CanLose, r.BearsCrash, r.Needed, r.NeededOf = uint32(t.CanLose), t.BearsCrash, uint32(t.Needed), t.NeededOf
	if _, left, ok := v.claim(now); ok {
		r.Claiming, r.LeaseMs = true, Millis(left)
	}
	if h, ok := v.Ring.NextHeir(); ok {
		r.Heir = h.Name
	}
	if r.Reason == "" {
		r.Reason = "this node is " + string(v.Phase)
		if v.WaitsFor != "" {
			r.Reason += "; " + v.WaitsFor
		}
	}
	return r
}

func departedToWire(d ring.Departed) *arcv1.DepartedMember {
	m := &arcv1.DepartedMember{Id: d.ID, Name: d.Name, How: string(d.How), Evidence: string(d.Evidence), SeenBy: d.SeenBy}
	if d.At != 0 {
		m.At = timestamppb.New(time.UnixMicro(d.At))
	}
	return m
}

// Millis keeps microseconds and drops what would only be noise in JSON.
func Millis(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}

func micros(us int64) float64 { return float64(us) / 1000 }

func leadershipToWire(l ring.Leadership) *arcv1.HistoryEntry {
	known, certain := l.Outage()
	e := &arcv1.HistoryEntry{
		Term: l.Term, Name: l.Name, Id: l.ID, Since: timestamppb.New(time.UnixMicro(l.Since)), Why: l.Why,
		GapMs: Millis(known), CertainGapMs: Millis(certain), GapAtLeast: l.GapAtLeast, Claimed: l.Claimed,
		Evidence: string(l.Evidence), After: l.After, SeenBy: l.SeenBy, Phases: phasesToWire(l.Phases),
	}
	for _, i := range l.Interruptions {
		e.Interruptions = append(e.Interruptions, &arcv1.Interruption{
			Since: timestamppb.New(time.UnixMicro(i.Since)), GapMs: micros(i.Gap), Times: uint32(i.Times), TotalMs: micros(i.Total), Why: i.Why, Evidence: string(i.Evidence),
		})
	}
	return e
}

// phasesToWire returns nil for phases of which nothing is known.
func phasesToWire(p ring.Phases) *arcv1.Phases {
	if p == (ring.Phases{}) {
		return nil
	}
	return &arcv1.Phases{
		DetectedUs: float64(p.Detected), PromisesEndedUs: float64(p.PromisesEnded), CampaignUs: float64(p.Campaign),
		ElectedUs: float64(p.Elected), DeclaredUs: float64(p.Declared), FirstClaimUs: float64(p.FirstClaim),
	}
}

// HistoryToWire returns at most limit of the newest, oldest first.
func HistoryToWire(s *ring.State, limit uint32) []*arcv1.HistoryEntry {
	h := s.History
	if n := len(h); limit != 0 && uint64(limit) < uint64(n) {
		h = h[n-int(limit):]
	}
	return ring.Each(h, leadershipToWire)
}
