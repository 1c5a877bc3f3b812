package ring

import (
	"strings"
	"testing"
	"time"
)

func TestProfilesAreValidAndUndoubted(t *testing.T) {
	for _, name := range Profiles {
		s, err := ProfileSettings(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if notes := s.Notes(s.Assume()); len(notes) != 0 {
			t.Errorf("%s: %q", name, notes)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   string
		change func(s *Settings)
		want   []string // parts of the error, all of which must be there; none: valid
	}{
		{"lowest of all", "lan", func(s *Settings) {
			*s = Settings{Profile: CustomProfile, LeaderIntervalMS: 1, LeaderMisses: 1, IntervalMS: 1, Misses: 1, LeaseMS: 30, DriftPPM: 0, StaggerMS: 1, MaxVoters: 3}
		}, nil},
		{"highest of all", "lan", func(s *Settings) {
			*s = Settings{Profile: CustomProfile, LeaderIntervalMS: 60_000, LeaderMisses: 100, IntervalMS: 60_000, Misses: 100, LeaseMS: 600_000, DriftPPM: 200_000,
				StaggerMS: 60_000, HangAfterMS: 3_600_000, MaxVoters: 15, GraceMS: 3_600_000}
		}, nil},
		{"zero", "lan", func(s *Settings) { *s = Settings{} }, []string{"leader_interval_ms = 0 is not between 1 and 60000", "leader_misses = 0", "interval_ms = 0",
			"misses = 0", "lease_ms = 0 is not between 30 and 600000: renewals", "stagger_ms = 0", "max_voters = 0"}},
		{"above", "lan", func(s *Settings) {
			*s = Settings{LeaderIntervalMS: 60_001, LeaderMisses: 101, IntervalMS: 60_001, Misses: 101, LeaseMS: 600_001, DriftPPM: 200_001, StaggerMS: 60_001,
				HangAfterMS: 3_600_001, MaxVoters: 16, GraceMS: 3_600_001}
		}, []string{"leader_interval_ms = 60001", "leader_misses = 101", "interval_ms = 60001", "misses = 101", "lease_ms = 600001", "drift_ppm = 200001 is not between 0 and 200000: the leader's lease",
			"stagger_ms = 60001", "hang_after_ms = 3600001", "max_voters = 16", "grace_ms = 3600001"}},
		{"a lease whose renewals are too frequent", "lan", func(s *Settings) { s.LeaseMS, s.StaggerMS = 29, 10 }, []string{"lease_ms = 29", "third", "10 ms"}},
		{"hang shorter than the lease", "lan", func(s *Settings) { s.HangAfterMS = 499 }, []string{"hang_after_ms = 499 is below lease_ms = 500"}},
		{"hang as long as the lease", "lan", func(s *Settings) { s.HangAfterMS = 500 }, nil},
		{"hang below its own bound", "realtime", func(s *Settings) { s.HangAfterMS = 99 }, []string{"hang_after_ms = 99 is not between 100"}},
		{"hang off", "lan", func(s *Settings) { s.HangAfterMS = 0 }, nil},
		{"stagger longer than the lease", "lan", func(s *Settings) { s.StaggerMS = 501 }, []string{"stagger_ms = 501 is above lease_ms = 500"}},
		{"stagger as long as the lease", "lan", func(s *Settings) { s.StaggerMS = 500 }, nil},
		{"one probe carries no grant", "realtime", func(s *Settings) { s.LeaderMisses = 1 }, []string{"leader_interval_ms = 2", "leader_misses = 1", "drift_ppm = 10000", "leader_misses = 2 or more"}},
		{"two do", "realtime", func(s *Settings) { s.LeaderIntervalMS, s.LeaderMisses = 1, 2 }, nil},
		{"without grants it may be one", "realtime", func(s *Settings) { s.LeaderMisses, s.LeaderGrants = 1, false }, nil},
		{"a grant every millisecond", "realtime", func(s *Settings) { s.LeaderIntervalMS, s.LeaderMisses = 1, 3 }, nil},
		{"a grant every millisecond, four misses", "realtime", func(s *Settings) { s.LeaderIntervalMS, s.LeaderMisses = 1, 4 }, nil},
		{"clocks so bad that a grant is hardly renewed", "realtime", func(s *Settings) { s.LeaderIntervalMS, s.LeaderMisses, s.DriftPPM = 1, 2, 90_000 }, nil},
		{"clocks even worse", "realtime", func(s *Settings) { s.LeaderIntervalMS, s.LeaderMisses, s.DriftPPM = 1, 1, 200_000 }, []string{"drift_ppm = 200000", "leader_misses = 3 or more"}},
		{"a grant just shorter than the lease", "realtime", func(s *Settings) { s.LeaderIntervalMS, s.LeaderMisses = 14, 3 }, nil},
		{"a grant as long as the lease", "realtime", func(s *Settings) { s.LeaderIntervalMS, s.LeaderMisses = 10, 5; s.LeaseMS, s.HangAfterMS = 55, 500 },
			[]string{"10 × 5½ = 55ms is not below lease_ms = 55"}},
		{"the lan link is too slow for grants", "lan", func(s *Settings) { s.LeaderGrants = true }, []string{"lease_ms = 500", "leader_grants=false"}},
		{"every broken rule is told at once", "realtime", func(s *Settings) { s.HangAfterMS, s.StaggerMS, s.LeaderMisses, s.MaxVoters = 40, 60, 1, 1 },
			[]string{"hang_after_ms = 40 is not", "hang_after_ms = 40 is below", "stagger_ms = 60", "leader_misses = 1", "max_voters = 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ProfileSettings(c.from)
			if err != nil {
				t.Fatal(err)
			}
			c.change(&s)
			err = s.Validate()
			if (err == nil) != (len(c.want) == 0) {
				t.Fatalf("error is %v, want %q", err, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in the error:\n%v", part, err)
				}
			}
			if err == nil && s.LeaderLease() <= s.RenewEvery() {
				t.Errorf("the leader's lease of %v is over before its next renewal, after %v", s.LeaderLease(), s.RenewEvery())
			}
		})
	}
}

// What an older ARC committed stays readable although a rule was added.
func TestTheLogIsHeldToBoundsAlone(t *testing.T) {
	s := founded(t, "a")
	old := lan(t)
	old.StaggerMS = old.LeaseMS + 1
	if old.Validate() == nil {
		t.Fatal("these settings are to break a rule")
	}
	must(t, s, 1, Command{Settings: &old})
	if r, _, err := Restore(s.Snapshot()); err != nil || r.Settings != old {
		t.Errorf("restored %+v, %v", r, err)
	}
	old.LeaseMS = 7
	if _, err := s.Apply(1, Command{Settings: &old}); err == nil {
		t.Error("a lease of 7 ms is applied")
	}
}

func TestNotes(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   string
		change func(s *Settings)
		want   string
	}{
		{"perfect clocks", "lan", func(s *Settings) { s.DriftPPM = 50 }, "drift_ppm = 50"},
		{"one lost probe", "lan", func(s *Settings) { s.LeaderMisses = 1; s.LeaderIntervalMS = 400 }, "leader_misses = 1, misses = 5"},
		{"a slow leader's link", "lan", func(s *Settings) { s.LeaderIntervalMS, s.LeaderMisses = 250, 2 }, "leader_interval_ms = 250 is above interval_ms = 200"},
		{"a lease much shorter than detection", "lan", func(s *Settings) { s.LeaseMS = 250 }, "600ms is more than twice lease_ms = 250"},
		{"a fast link that nothing comes of", "realtime", func(s *Settings) { s.LeaderGrants = false }, "8ms is less than a third of lease_ms = 50"},
		{"a grant with no room for a slow network", "realtime", func(s *Settings) { s.LeaderIntervalMS = 1 }, "leave 715µs"},
		{"a grant that does not outlive its watcher", "realtime", func(s *Settings) { s.LeaderMisses = 2 }, "leave 0s"},
		{"slow probes of one's own", "lan", func(s *Settings) { s.IntervalMS = 1000 }, "interval_ms = 1000 makes a winner's own probe"},
		{"heirs on one another's heels", "lan", func(s *Settings) { s.StaggerMS = 2 }, "stagger_ms = 2"},
		{"no grace", "lan", func(s *Settings) { s.GraceMS = 100 }, "grace_ms = 100 is below lease_ms = 500"},
		{"an even number", "lan", func(s *Settings) { s.MaxVoters = 4 }, "max_voters = 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ProfileSettings(c.from)
			if err != nil {
				t.Fatal(err)
			}
			c.change(&s)
			if err := s.Validate(); err != nil {
				t.Fatalf("these settings are to be legal: %v", err)
			}
			if notes := s.Notes(s.Assume()); !strings.Contains(strings.Join(notes, "\n"), c.want) {
				t.Errorf("notes are %q, want one with %q", notes, c.want)
			}
		})
	}
	wan, err := ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	far := Assumed{RoundTrip: 100 * time.Millisecond}
	if notes := strings.Join(wan.Notes(far), "\n"); !strings.Contains(notes, "renewals go out every") || !strings.Contains(notes, "stagger_ms") {
		t.Errorf("lan over %v: notes are %q", far.RoundTrip, notes)
	}
}

func TestWhichProfilesNeedRealtime(t *testing.T) {
	for _, name := range Profiles {
		s, err := ProfileSettings(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.NeedsRealtime(); got != (name == "realtime") {
			t.Errorf("%s needs --realtime: %v", name, got)
		}
	}
}
