package ring

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	ringv1 "github.com/arc-ring/arc/proto/arc/ring/v1"
)

// The words of closed sets, by their numbers on the disk.
var (
	evidences  = []Evidence{"", Certified, Refused, Reset, Silent, Operator, Replaced, Unanswered, BornAgain}
	onJoins    = []OnJoin{"", Stay, Lead}
	departures = []ChangeKind{"", Left, Evicted}
)

// number returns the number of a word. A word that is in no set gets -1, which
// no reader takes.
func number[N ~int32, W comparable](words []W, w W) N { return N(slices.Index(words, w)) }

// Number is the evidence on the wire and on the disk.
func (e Evidence) Number() ringv1.Evidence { return number[ringv1.Evidence](evidences, e) }

// Number is the wish on the wire and on the disk.
func (o OnJoin) Number() ringv1.OnJoin { return number[ringv1.OnJoin](onJoins, o) }

// Encode returns the bytes that go into the log. A Found is in no log.
func (c Command) Encode() []byte {
	p := &ringv1.Command{LogVersion: firstLogVersion, Ref: c.Ref}
	switch {
	case c.Join != nil:
		p.Body = &ringv1.Command_Join{Join: &ringv1.Join{Member: encodeMember(c.Join.Member), Replaces: c.Join.Replaces}}
	case c.Leave != nil:
		p.Body = &ringv1.Command_Leave{Leave: &ringv1.Leave{Id: c.Leave.ID, At: c.Leave.At}}
	case c.Evict != nil:
		p.Body = &ringv1.Command_Evict{Evict: encodeEvict(*c.Evict)}
	case c.Declare != nil:
		p.Body = &ringv1.Command_Declare{Declare: encodeDeclare(c.Declare)}
	case c.Appoint != nil:
		p.Body = &ringv1.Command_Appoint{Appoint: &ringv1.Appoint{To: c.Appoint.To, Why: c.Appoint.Why}}
	case c.Settings != nil:
		p.Body = &ringv1.Command_Settings{Settings: encodeSettings(c.Settings)}
	case c.Return != nil:
		r := c.Return
		p.Body = &ringv1.Command_Return{Return: &ringv1.Return{Id: r.ID, Incarnation: r.Incarnation, Addresses: r.Addresses, Version: r.Version, LogVersion: r.LogVersion}}
	case c.Seal != nil:
		p.Body = &ringv1.Command_Seal{Seal: &ringv1.Seal{Voters: c.Seal.Voters}}
	case c.Timed != nil:
		t := c.Timed
		p.Body = &ringv1.Command_Timed{Timed: &ringv1.Timed{Term: t.Term, Declared: t.Declared, FirstClaim: t.FirstClaim, ClaimAfter: t.ClaimAfter}}
	case c.Interrupted != nil:
		p.Body = &ringv1.Command_Interrupted{Interrupted: &ringv1.Interrupted{Term: c.Interrupted.Term, Interruption: encodeInterruption(c.Interrupted.Interruption)}}
	case c.Forget != nil:
		p.Body = &ringv1.Command_Forget{Forget: &ringv1.Forget{Ids: c.Forget.IDs}}
	case c.Require != nil:
		p.LogVersion = max(firstLogVersion, c.Require.LogVersion)
		p.Body = &ringv1.Command_Require{Require: &ringv1.Require{LogVersion: c.Require.LogVersion}}
	}
	return marshal(p)
}

// Snapshot returns the State's canonical bytes, together with former members
// whose log or answers may still be needed. Equal states give equal bytes.
func (s *State) Snapshot(gone ...Member) []byte {
	return marshal(&ringv1.Snapshot{
		LogVersion: max(firstLogVersion, s.LogVersion),
		Ring: &ringv1.State{
			Cluster: s.Cluster, RingId: s.RingID, Epoch: s.Epoch, HighestId: s.HighestID, Members: Each(s.Members, encodeMember),
			Term: s.Term, LeaderId: s.LeaderID, History: Each(s.History, encodeLeadership),
			Led:        Each(s.Led, func(l LastLed) *ringv1.LastLed { return &ringv1.LastLed{Name: l.Name, Term: l.Term} }),
			Designated: encodeDesignation(s.Designated), Departed: Each(s.Departed, encodeDeparted),
			Settings: encodeSettings(&s.Settings), Refounding: encodeRefounding(s.Refounding), LogVersion: s.LogVersion,
		},
		Gone: Each(gone, encodeMember),
	})
}

func marshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("ring: a record does not encode: %v", err)) // all text was checked
	}
	return b
}

// Each returns what f makes of each of in; nil of none.
func Each[A, B any](in []A, f func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i := range in {
		out[i] = f(in[i])
	}
	return out
}

func encodeMember(m Member) *ringv1.Member {
	return &ringv1.Member{Id: m.ID, Name: m.Name, Incarnation: m.Incarnation, Addresses: m.Addresses, Witness: m.Witness,
		OnJoin: m.OnJoin.Number(), Nonce: m.Nonce, Version: m.Version, LogVersion: m.LogVersion}
}

func encodeEvict(e Evict) *ringv1.Evict {
	return &ringv1.Evict{Id: e.ID, Incarnation: e.Incarnation, Evidence: e.Evidence.Number(), By: e.By, At: e.At}
}

func encodeDeclare(d *Declare) *ringv1.Declare {
	return &ringv1.Declare{Term: d.Term, Id: d.ID, Incarnation: d.Incarnation, Evict: Each(d.Evict, encodeEvict), Since: d.Since,
		Gap: d.Gap, CertainGap: d.CertainGap, GapAtLeast: d.GapAtLeast, Why: d.Why, Clean: d.Clean,
		Evidence: d.Evidence.Number(), By: d.By, Phases: encodePhases(d.Phases)}
}

func encodePhases(p Phases) *ringv1.Phases {
	if p == (Phases{}) {
		return nil
	}
	return &ringv1.Phases{Detected: p.Detected, PromisesEnded: p.PromisesEnded, Campaign: p.Campaign, Elected: p.Elected, Declared: p.Declared, FirstClaim: p.FirstClaim}
}

func encodeInterruption(i Interruption) *ringv1.Interruption {
	return &ringv1.Interruption{Since: i.Since, Gap: i.Gap, Total: i.Total, Times: i.Times, Evidence: i.Evidence.Number(), Why: i.Why}
}

func encodeLeadership(l Leadership) *ringv1.Leadership {
	return &ringv1.Leadership{Term: l.Term, Name: l.Name, Id: l.ID, Since: l.Since, Why: l.Why, Gap: l.Gap, CertainGap: l.CertainGap, GapAtLeast: l.GapAtLeast,
		Claimed: l.Claimed, ClaimAfter: l.ClaimAfter, Interruptions: Each(l.Interruptions, encodeInterruption),
		Evidence: l.Evidence.Number(), SeenBy: l.SeenBy, Phases: encodePhases(l.Phases), After: l.After, Clean: l.Clean}
}

func encodeDesignation(d *Designation) *ringv1.Designation {
	if d == nil {
		return nil
	}
	return &ringv1.Designation{To: d.To, Why: d.Why, Recovered: d.Recovered}
}

func encodeDeparted(d Departed) *ringv1.Departed {
	return &ringv1.Departed{Id: d.ID, Name: d.Name, At: d.At, How: number[ringv1.Departure](departures, d.How),
		Evidence: d.Evidence.Number(), SeenBy: d.SeenBy}
}

func encodeRefounding(r Refounding) *ringv1.Refounding {
	if r == (Refounding{}) {
		return nil
	}
	return &ringv1.Refounding{At: r.At, From: r.From}
}

func encodeSettings(s *Settings) *ringv1.Settings {
	return &ringv1.Settings{Profile: s.Profile, LeaderIntervalMs: s.LeaderIntervalMS, LeaderMisses: s.LeaderMisses, LeaderGrants: s.LeaderGrants,
		IntervalMs: s.IntervalMS, Misses: s.Misses, LeaseMs: s.LeaseMS, DriftPpm: s.DriftPPM, StaggerMs: s.StaggerMS,
		HangAfterMs: s.HangAfterMS, MaxVoters: s.MaxVoters, GraceMs: s.GraceMS, ForgetAfterS: s.ForgetAfterS}
}
