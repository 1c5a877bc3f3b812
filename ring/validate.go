package ring

import (
	"errors"
	"fmt"
	"time"
)

// LongestLease is the longest lease that settings can have. Nobody ever promises
// more.
const LongestLease = 600 * time.Second

// turnaroundLeast is what a renewal and its ack take on any network: settings
// that leave less for it cannot work.
const turnaroundLeast = 500 * time.Microsecond

// bounds returns every value that is out of its range, joined; nil if none.
// The log and its snapshots are held to no more than this, for a rule that a
// newer ARC adds must not make an older ring's log unreadable.
func (s Settings) bounds() error {
	var errs []error
	between := func(key string, v, lo, hi uint32, why string) {
		if v < lo || v > hi {
			errs = append(errs, fmt.Errorf("%s = %d is not between %d and %d%s", key, v, lo, hi, why))
		}
	}
	between("leader_interval_ms", s.LeaderIntervalMS, 1, 60_000, "")
	between("leader_misses", s.LeaderMisses, 1, 100, "")
	between("interval_ms", s.IntervalMS, 1, 60_000, "")
	between("misses", s.Misses, 1, 100, "")
	between("lease_ms", s.LeaseMS, 30, uint32(LongestLease/time.Millisecond), ": renewals go out every third of it, at most one in 10 ms")
	between("drift_ppm", s.DriftPPM, 0, 200_000, ": the leader's lease is shorter by it, and must outlive its renewals")
	between("stagger_ms", s.StaggerMS, 1, 60_000, "")
	between("max_voters", s.MaxVoters, 3, 15, ": with fewer the loss of one ends the ring, with more every change waits for many")
	between("grace_ms", s.GraceMS, 0, 3_600_000, "")
	between("forget_after_s", s.ForgetAfterS, 0, 10*365*86_400, "; 0 keeps former members listed until `arc forget`")
	if s.HangAfterMS != 0 {
		between("hang_after_ms", s.HangAfterMS, 100, 3_600_000, ", and not 0, which switches it off")
	}
	return errors.Join(errs...)
}

// Validate returns every rule that the settings break, joined; nil if none.
// Each names the values that contradict one another, and what to change. What
// is legal but doubtful is in Notes.
func (s Settings) Validate() error {
	errs := []error{s.bounds()}
	broken := func(contradiction bool, format string, args ...any) {
		if contradiction {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	broken(s.HangAfterMS != 0 && s.HangAfterMS < s.LeaseMS,
		"hang_after_ms = %d is below lease_ms = %d: a coordinator would be killed while its lease lives; set it to 0 (off) or at least the lease",
		s.HangAfterMS, s.LeaseMS)
	broken(s.StaggerMS > s.LeaseMS,
		"stagger_ms = %d is above lease_ms = %d: the second heir would wait longer than a lease; set it to what an election takes", s.StaggerMS, s.LeaseMS)
	if s.LeaderGrants {
		_, misses := s.Link(true)
		grant, left := s.GrantLength(), s.grantLeft(s.GrantOverdue())
		broken(left < turnaroundLeast,
			"leader_interval_ms = %d and leader_misses = %d with leader_grants: a grant lasts interval × (misses + ½) = %v, by drift_ppm = %d only %v; "+
				"the probe that renews it may come interval × 1¾ = %v after it began, and of the %v left a round trip needs at least %v; take leader_misses = %d or more, or leader_grants=false",
			s.LeaderIntervalMS, s.LeaderMisses, grant, s.DriftPPM, s.Shortened(grant), s.GrantOverdue(), left, turnaroundLeast, s.missesForGrants())
		broken(grant >= s.Lease(),
			"leader_interval_ms × (leader_misses + ½) = %d × %d½ = %v is not below lease_ms = %d with leader_grants: the lease would end every promise before the watcher may; "+
				"probe the leader more often, or set leader_grants=false", s.LeaderIntervalMS, misses, grant, s.LeaseMS)
	}
	return errors.Join(errs...)
}

// grantLeft is what is left of a grant after so long, as the leader counts.
func (s Settings) grantLeft(after time.Duration) time.Duration {
	return s.Shortened(s.GrantLength()) - after
}

// missesForGrants is with how many misses grants can work on this link.
func (s Settings) missesForGrants() uint32 {
	s.LeaderMisses = 1
	for s.LeaderMisses < 100 && s.grantLeft(s.GrantOverdue()) < turnaroundLeast {
		s.LeaderMisses++
	}
	return s.LeaderMisses
}

// Notes returns what is legal but doubtful about valid settings, a sentence
// each, where messages and disks take as long as assumed.
func (s Settings) Notes(a Assumed) []string {
	var notes []string
	note := func(doubtful bool, format string, args ...any) {
		if doubtful {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	note(s.DriftPPM < 100,
		"drift_ppm = %d: the clocks of ordinary machines differ by up to 100; with less than they really do, two leaders may claim at once", s.DriftPPM)
	note(s.LeaderMisses == 1 || s.Misses == 1, "leader_misses = %d, misses = %d: with 1 a single lost probe is a suspicion", s.LeaderMisses, s.Misses)
	note(s.LeaderIntervalMS > s.IntervalMS,
		"leader_interval_ms = %d is above interval_ms = %d: a failover waits for the leader's link alone, which should be the fast one", s.LeaderIntervalMS, s.IntervalMS)
	silence, left := s.Detection(true), s.grantLeft(ms(s.LeaderIntervalMS)+s.GrantOverdue())
	note(s.LeaderGrants && left < a.RoundTrip,
		"leader_interval_ms = %d and leader_misses = %d with leader_grants leave %v for a renewal that names another watcher once the probe of the present one is late (interval × 2¾), a round trip is assumed to take %v: the claim may lapse for a moment when a watcher dies",
		s.LeaderIntervalMS, s.LeaderMisses, max(left, 0), a.RoundTrip)
	note(!s.LeaderGrants && silence > 2*s.Lease(),
		"leader_interval_ms × (leader_misses + 1) = %v is more than twice lease_ms = %d: when the leader falls silent the promises end long before its watcher says so, so its own, faster link is of little use; probe it more often, or lengthen the lease",
		silence, s.LeaseMS)
	note(!s.LeaderGrants && 3*silence < s.Lease(),
		"leader_interval_ms × (leader_misses + 1) = %v is less than a third of lease_ms = %d: without leader_grants a failover after silence waits for the lease all the same", silence, s.LeaseMS)
	note(s.OwnProbe() > 2*max(s.Lease(), 50*time.Millisecond),
		"interval_ms = %d makes a winner's own probe of a silent member last %v, more than two leases (lease_ms = %d): if leader and heir, or leader and watcher, are lost together, the failover waits for it",
		s.IntervalMS, s.OwnProbe(), s.LeaseMS)
	note(s.Stagger() < a.election(),
		"stagger_ms = %d is less than an election is assumed to take (%v): the second heir campaigns before the first one has won, and may split the vote", s.StaggerMS, a.election())
	note(s.RenewEvery() < 2*a.RoundTrip,
		"lease_ms = %d: renewals go out every %v, a round trip is assumed to take %v; one that is late costs the claim", s.LeaseMS, s.RenewEvery(), a.RoundTrip)
	note(s.GraceMS < s.LeaseMS,
		"grace_ms = %d is below lease_ms = %d: a program of a leader that is cut off has only that long to stop after the lease, before its successor's may begin (ARC itself stops none yet)", s.GraceMS, s.LeaseMS)
	note(s.MaxVoters%2 == 0, "max_voters = %d: an even number bears no more losses than %d and needs one more vote", s.MaxVoters, s.MaxVoters-1)
	return notes
}
