package ring

import (
	"cmp"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	ringv1 "github.com/arc-ring/arc/proto/arc/ring/v1"
)

// decoder notes the first thing that a record says and this ARC does not know.
type decoder struct{ err error }

func word[W ~string, N ~int32](d *decoder, words []W, n N) W {
	w, err := wordOf(words, n)
	d.err = cmp.Or(d.err, err)
	return w
}

// wordOf is the inverse of number.
func wordOf[W ~string, N ~int32](words []W, n N) (W, error) {
	if n < 0 || int(n) >= len(words) {
		return "", fmt.Errorf("word %d is not among %q", n, words)
	}
	return words[n], nil
}

// EvidenceOf is the inverse of Evidence.Number.
func EvidenceOf(n ringv1.Evidence) (Evidence, error) { return wordOf(evidences, n) }

// OnJoinOf is the inverse of OnJoin.Number.
func OnJoinOf(n ringv1.OnJoin) (OnJoin, error) { return wordOf(onJoins, n) }

// readable refuses what needs a newer version of the log.
func readable(version uint32) error {
	if version > LogVersion {
		return fmt.Errorf("%w %d, this one reads up to %d", ErrNewer, version, LogVersion)
	}
	return nil
}

// DecodeCommand is the inverse of Encode. It refuses a command of a newer log
// version, and anything but exactly one command. Fields that are not known are
// left out: what must not be left out comes with a newer version.
func DecodeCommand(b []byte) (Command, error) {
	c, err := decodeCommand(b)
	if err != nil {
		return Command{}, fmt.Errorf("decode ring command: %w", err)
	}
	return c, nil
}

func decodeCommand(b []byte) (Command, error) {
	if isOld(b) {
		return decodeOldCommand(b)
	}
	p := &ringv1.Command{}
	if err := cmp.Or(proto.Unmarshal(b, p), readable(p.GetLogVersion())); err != nil {
		return Command{}, err
	}
	c, d := Command{Ref: p.GetRef()}, decoder{}
	switch x := p.GetBody().(type) {
	case *ringv1.Command_Join:
		c.Join = &Join{Member: d.member(x.Join.GetMember()), Replaces: x.Join.GetReplaces()}
	case *ringv1.Command_Leave:
		c.Leave = &Leave{ID: x.Leave.GetId(), At: x.Leave.GetAt()}
	case *ringv1.Command_Evict:
		c.Evict = new(d.evict(x.Evict))
	case *ringv1.Command_Declare:
		c.Declare = d.declare(x.Declare)
	case *ringv1.Command_Appoint:
		c.Appoint = &Appoint{To: x.Appoint.GetTo(), Why: x.Appoint.GetWhy()}
	case *ringv1.Command_Settings:
		c.Settings = new(decodeSettings(x.Settings))
	case *ringv1.Command_Return:
		r := x.Return
		c.Return = &Return{ID: r.GetId(), Incarnation: r.GetIncarnation(), Addresses: r.GetAddresses(), Version: r.GetVersion(), LogVersion: r.GetLogVersion()}
	case *ringv1.Command_Seal:
		c.Seal = &Seal{Voters: x.Seal.GetVoters()}
	case *ringv1.Command_Timed:
		t := x.Timed
		c.Timed = &Timed{Term: t.GetTerm(), Declared: t.GetDeclared(), FirstClaim: t.GetFirstClaim(), ClaimAfter: t.GetClaimAfter()}
	case *ringv1.Command_Interrupted:
		c.Interrupted = &Interrupted{Term: x.Interrupted.GetTerm(), Interruption: d.interruption(x.Interrupted.GetInterruption())}
	case *ringv1.Command_Forget:
		c.Forget = &Forget{IDs: x.Forget.GetIds()}
	case *ringv1.Command_Require:
		c.Require = &Require{LogVersion: x.Require.GetLogVersion()}
	default:
		return Command{}, errors.New("no command that this ARC knows")
	}
	return c, d.err
}

// snapshot is what a log begins with. The JSON names are those of log version 1.
type snapshot struct {
	Ring State `json:"ring"`
	// Gone are former members whose log or answers may still be needed.
	Gone []Member `json:"gone"`
}

// decodeSnapshot is the inverse of State.Snapshot.
func decodeSnapshot(b []byte) (snapshot, error) {
	if isOld(b) {
		return decodeOldSnapshot(b)
	}
	p := &ringv1.Snapshot{}
	if err := cmp.Or(proto.Unmarshal(b, p), readable(p.GetLogVersion())); err != nil {
		return snapshot{}, err
	}
	r, d := p.GetRing(), decoder{}
	s := State{
		Cluster: r.GetCluster(), RingID: r.GetRingId(), Epoch: r.GetEpoch(), HighestID: r.GetHighestId(), Members: Each(r.GetMembers(), d.member),
		Term: r.GetTerm(), LeaderID: r.GetLeaderId(), History: Each(r.GetHistory(), d.leadership),
		Led:      Each(r.GetLed(), func(l *ringv1.LastLed) LastLed { return LastLed{Name: l.GetName(), Term: l.GetTerm()} }),
		Departed: Each(r.GetDeparted(), d.departed), Settings: decodeSettings(r.GetSettings()),
		Refounding: Refounding{At: r.GetRefounding().GetAt(), From: r.GetRefounding().GetFrom()}, LogVersion: r.GetLogVersion(),
	}
	if g := r.GetDesignated(); g != nil {
		s.Designated = &Designation{To: g.GetTo(), Why: g.GetWhy(), Recovered: g.GetRecovered()}
	}
	return snapshot{s, Each(p.GetGone(), d.member)}, d.err
}

func (d *decoder) member(m *ringv1.Member) Member {
	return Member{ID: m.GetId(), Name: m.GetName(), Incarnation: m.GetIncarnation(), Addresses: m.GetAddresses(), Witness: m.GetWitness(),
		OnJoin: word(d, onJoins, m.GetOnJoin()), Nonce: m.GetNonce(), Version: m.GetVersion(), LogVersion: m.GetLogVersion()}
}

func (d *decoder) evict(e *ringv1.Evict) Evict {
	return Evict{ID: e.GetId(), Incarnation: e.GetIncarnation(), Evidence: word(d, evidences, e.GetEvidence()), By: e.GetBy(), At: e.GetAt()}
}

func (d *decoder) declare(x *ringv1.Declare) *Declare {
	return &Declare{Term: x.GetTerm(), ID: x.GetId(), Incarnation: x.GetIncarnation(), Evict: Each(x.GetEvict(), d.evict), Since: x.GetSince(),
		Gap: x.GetGap(), CertainGap: x.GetCertainGap(), GapAtLeast: x.GetGapAtLeast(), Why: x.GetWhy(), Clean: x.GetClean(),
		Evidence: word(d, evidences, x.GetEvidence()), By: x.GetBy(), Phases: decodePhases(x.GetPhases())}
}

func decodePhases(p *ringv1.Phases) Phases {
	return Phases{Detected: p.GetDetected(), PromisesEnded: p.GetPromisesEnded(), Campaign: p.GetCampaign(), Elected: p.GetElected(), Declared: p.GetDeclared(), FirstClaim: p.GetFirstClaim()}
}

func (d *decoder) interruption(i *ringv1.Interruption) Interruption {
	return Interruption{Since: i.GetSince(), Gap: i.GetGap(), Total: i.GetTotal(), Times: i.GetTimes(), Evidence: word(d, evidences, i.GetEvidence()), Why: i.GetWhy()}
}

func (d *decoder) leadership(l *ringv1.Leadership) Leadership {
	return Leadership{Term: l.GetTerm(), Name: l.GetName(), ID: l.GetId(), Since: l.GetSince(), Why: l.GetWhy(), Gap: l.GetGap(), CertainGap: l.GetCertainGap(), GapAtLeast: l.GetGapAtLeast(),
		Claimed: l.GetClaimed(), ClaimAfter: l.GetClaimAfter(), Interruptions: Each(l.GetInterruptions(), d.interruption),
		Evidence: word(d, evidences, l.GetEvidence()), SeenBy: l.GetSeenBy(), Phases: decodePhases(l.GetPhases()), After: l.GetAfter(), Clean: l.GetClean()}
}

func (d *decoder) departed(x *ringv1.Departed) Departed {
	return Departed{ID: x.GetId(), Name: x.GetName(), At: x.GetAt(), How: word(d, departures, x.GetHow()), Evidence: word(d, evidences, x.GetEvidence()), SeenBy: x.GetSeenBy()}
}

func decodeSettings(s *ringv1.Settings) Settings {
	return Settings{Profile: s.GetProfile(), LeaderIntervalMS: s.GetLeaderIntervalMs(), LeaderMisses: s.GetLeaderMisses(), LeaderGrants: s.GetLeaderGrants(),
		IntervalMS: s.GetIntervalMs(), Misses: s.GetMisses(), LeaseMS: s.GetLeaseMs(), DriftPPM: s.GetDriftPpm(), StaggerMS: s.GetStaggerMs(),
		HangAfterMS: s.GetHangAfterMs(), MaxVoters: s.GetMaxVoters(), GraceMS: s.GetGraceMs(), ForgetAfterS: s.GetForgetAfterS()}
}
