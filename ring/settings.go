package ring

import (
	"fmt"
	"strings"
	"time"
)

// Settings are cluster-wide and committed. The JSON names are the keys of
// `arc config set`. Intervals are whole milliseconds.
type Settings struct {
	Profile          string `json:"profile"`
	LeaderIntervalMS uint32 `json:"leader_interval_ms"`
	LeaderMisses     uint32 `json:"leader_misses"`
	// LeaderGrants lets the watcher's testimony end the voters' promises to the
	// leader long before the lease would.
	LeaderGrants bool   `json:"leader_grants"`
	IntervalMS   uint32 `json:"interval_ms"`
	Misses       uint32 `json:"misses"`
	LeaseMS      uint32 `json:"lease_ms"`
	// DriftPPM bounds how much the rates of any two clocks may differ.
	DriftPPM uint32 `json:"drift_ppm"`
	// StaggerMS is the delay between the campaigns of succeeding heirs.
	StaggerMS uint32 `json:"stagger_ms"`
	// HangAfterMS: a coordinator that does not answer its own monitor for so
	// long is killed. 0 switches this off.
	HangAfterMS uint32 `json:"hang_after_ms"`
	MaxVoters   uint32 `json:"max_voters"`
	// GraceMS is how long a program of a former leader may go on after the lease,
	// and its successor's waits. It is advice: ARC itself runs no such program yet.
	GraceMS uint32 `json:"grace_ms"`
	// ForgetAfterS is for how many seconds a former member stays listed; 0 is until
	// it is forgotten by hand.
	ForgetAfterS uint32 `json:"forget_after_s"`
}

// DefaultProfile is what a ring is founded with unless told otherwise.
const DefaultProfile = "lan"

// CustomProfile is the profile's name once a timing was changed by hand.
const CustomProfile = "custom"

// profiles are what the named profiles differ in.
var profiles = []Settings{
	{Profile: "realtime", LeaderIntervalMS: 2, LeaderMisses: 3, IntervalMS: 50, Misses: 4, LeaseMS: 50, StaggerMS: 10, LeaderGrants: true},
	{Profile: "fast", LeaderIntervalMS: 30, LeaderMisses: 5, IntervalMS: 100, Misses: 5, LeaseMS: 150, StaggerMS: 15},
	{Profile: "lan", LeaderIntervalMS: 100, LeaderMisses: 5, IntervalMS: 200, Misses: 5, LeaseMS: 500, StaggerMS: 25},
	{Profile: "wan", LeaderIntervalMS: 500, LeaderMisses: 6, IntervalMS: 1000, Misses: 6, LeaseMS: 3000, StaggerMS: 500},
}

// Profiles lists the names that ProfileSettings knows.
var Profiles = Each(profiles, func(s Settings) string { return s.Profile })

// ProfileSettings returns the settings of a named profile.
func ProfileSettings(name string) (Settings, error) {
	s, ok := find(profiles, func(s Settings) bool { return s.Profile == name })
	if !ok {
		return Settings{}, fmt.Errorf("profile %q is not one of %s", name, strings.Join(Profiles, ", "))
	}
	s.DriftPPM, s.MaxVoters, s.ForgetAfterS = 10_000, 7, 7*24*3600
	s.HangAfterMS, s.GraceMS = 10*s.LeaseMS, s.LeaseMS
	return s, nil
}

// Lease is how long a promise lasts from the receipt of a renewal.
func (s Settings) Lease() time.Duration { return ms(s.LeaseMS) }

// LeaderLease is how long an acknowledged renewal lets the leader act, from
// its sending: the lease less what two clocks may differ.
func (s Settings) LeaderLease() time.Duration { return s.Shortened(s.Lease()) }

// Shortened is d less what two clocks may differ in that time.
func (s Settings) Shortened(d time.Duration) time.Duration {
	return d - d*time.Duration(s.DriftPPM)/1_000_000
}

// Stretched is d by a clock that is as slow as any may be.
func (s Settings) Stretched(d time.Duration) time.Duration {
	return d + d*time.Duration(s.DriftPPM)/1_000_000
}

// GrantOverdue is how long after a watcher's probe the next one is late: the
// leader must then renew without its grant, before that ends.
func (s Settings) GrantOverdue() time.Duration {
	interval, _ := s.Link(true)
	return interval * 7 / 4
}

// GrantLength is for how long after the receipt of a pong the leader's watcher
// will not testify; 0 if grants are off. It is half an interval more than the
// missed probes take: a suspicion by silence comes a whole one after.
func (s Settings) GrantLength() time.Duration {
	if !s.LeaderGrants {
		return 0
	}
	interval, misses := s.Link(true)
	return interval*time.Duration(misses) + interval/2
}

// RenewEvery is the interval between renewals.
func (s Settings) RenewEvery() time.Duration { return s.Lease() / 3 }

// Stagger is the delay between the campaigns of succeeding heirs.
func (s Settings) Stagger() time.Duration { return ms(s.StaggerMS) }

// ForgetAfter is for how long a former member stays listed; 0 is without end.
func (s Settings) ForgetAfter() time.Duration { return time.Duration(s.ForgetAfterS) * time.Second }

// HangAfter is after which silence a monitor kills its own coordinator; 0 is
// never.
func (s Settings) HangAfter() time.Duration { return ms(s.HangAfterMS) }

// BeatEvery is how often a monitor asks its own coordinator for a beat: often
// enough for both to notice in time that the other one stands still.
func (s Settings) BeatEvery() time.Duration {
	every := min(max(s.Detection(false)/2, 50*time.Millisecond), time.Second)
	if hang := s.HangAfter(); hang > 0 {
		every = min(every, max(hang/10, 50*time.Millisecond))
	}
	return every
}

// Link returns probe interval and misses of a link, the leader's or another.
func (s Settings) Link(leader bool) (interval time.Duration, misses int) {
	if leader {
		return ms(s.LeaderIntervalMS), int(s.LeaderMisses)
	}
	return ms(s.IntervalMS), int(s.Misses)
}

// SuspicionLasts is after which time a suspicion that nobody repeats is
// forgotten. It is repeated with the probes of its link, to others not more
// often than renewals go out, and one repetition may be lost.
func (s Settings) SuspicionLasts() time.Duration {
	return max(s.Detection(false), 2*max(s.RenewEvery(), ms(s.LeaderIntervalMS)), 2*s.OwnProbe())
}

// OwnProbe is how long a leader, or who would be one, itself tries a member
// before it believes that it is dead: two intervals of an ordinary link, and at
// least what a busy machine may need to answer.
func (s Settings) OwnProbe() time.Duration {
	interval, _ := s.Link(false)
	return max(2*interval, 50*time.Millisecond)
}

// Detection is the time in which silence on a link becomes a suspicion.
func (s Settings) Detection(leader bool) time.Duration {
	interval, misses := s.Link(leader)
	return interval * time.Duration(misses+1)
}

// realtimeSilence is the longest tolerated silence of the leader that is meant for
// --realtime: an ordinary process is kept waiting for longer now and then.
const realtimeSilence = 20 * time.Millisecond

// NeedsRealtime reports whether the timing is meant for coordinators that run
// with --realtime.
func (s Settings) NeedsRealtime() bool { return s.Detection(true) <= realtimeSilence }

func ms(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
