package ring

import (
	"testing"
	"time"
)

func TestFailovers(t *testing.T) {
	const ms = time.Millisecond
	a := Assumed{RoundTrip: 2 * ms, Sync: ms, Notice: 3 * ms}
	for _, c := range []struct {
		profile string
		drift   uint32
		want    map[Fault]time.Duration
	}{
		{"lan", 0, map[Fault]time.Duration{
			FaultCrash:    3*ms + ms + (2+1)*ms + (2+1)*ms,
			FaultBoth:     500*ms + (4+1)*ms + (2+1)*ms,
			FaultSilence:  500*ms + (4+1)*ms + (2+1)*ms,
			FaultStopped:  500*ms + (4+1)*ms + (2+1)*ms,
			FaultHeir:     500*ms + 25*ms + (4+1)*ms + 400*ms + (2+1)*ms,
			FaultWatcher:  500*ms + 25*ms + (4+1)*ms + 400*ms + (2+1)*ms,
			FaultPartial:  500*ms + 6*25*ms + (4+1)*ms + 400*ms + (2+2+1)*ms + (2+1)*ms,
			FaultHandover: (2+1)*ms + (2+1)*ms + (2+1)*ms,
		}},
		{"lan", 100_000, map[Fault]time.Duration{
			FaultBoth:    550*ms + (4+1)*ms + (2+1)*ms,
			FaultSilence: 550*ms + (4+1)*ms + (2+1)*ms,
		}},
		{"realtime", 0, map[Fault]time.Duration{
			FaultCrash:     3*ms + ms + (2+1)*ms + (2+1)*ms,
			FaultBoth:      (3+2+1)*ms + 4*ms + (4+1)*ms + (2+1)*ms,
			FaultSilence:   8*ms + ms + (4+1)*ms + (2+1)*ms,
			FaultUngranted: 50*ms + (4+1)*ms + (2+1)*ms,
			FaultWatcher:   50*ms + 10*ms + (4+1)*ms + 100*ms + (2+1)*ms,
		}},
	} {
		s, err := ProfileSettings(c.profile)
		if err != nil {
			t.Fatal(err)
		}
		s.DriftPPM = c.drift
		var most time.Duration
		seen := map[Fault]bool{}
		for _, f := range s.Failovers(a) {
			if want, ok := c.want[f.Fault]; ok && f.Total() != want {
				t.Errorf("%s, drift %d ppm, %s: %v, want %v: %+v", c.profile, c.drift, f.Fault, f.Total(), want, f.Phases)
			}
			for _, p := range f.Phases {
				if p.Took < 0 || p.Rule == "" || p.Name == "" {
					t.Errorf("%s, %s: phase %+v", c.profile, f.Fault, p)
				}
			}
			most = max(most, f.Total())
			seen[f.Fault] = true
		}
		for f := range c.want {
			if !seen[f] {
				t.Errorf("%s: nothing is said of %s", c.profile, f)
			}
		}
		if got := s.FailoverBound(a); got != most {
			t.Errorf("%s: bound %v, want %v", c.profile, got, most)
		}
	}
}

func TestMinorityClaimAndLocalWork(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		profile         string
		most, alone     time.Duration
		localWorkBegins time.Duration
	}{
		{"lan", 495 * ms, 495 * ms, 1005 * ms},
		{"realtime", 49500 * time.Microsecond, 6930 * time.Microsecond, 100500 * time.Microsecond},
	} {
		s, err := ProfileSettings(c.profile)
		if err != nil {
			t.Fatal(err)
		}
		if most, alone := s.MinorityClaim(); most != c.most || alone != c.alone {
			t.Errorf("%s: a minority claims for %v, without the watcher %v; want %v, %v", c.profile, most, alone, c.most, c.alone)
		}
		if w := s.LocalWorkWaits(); w != c.localWorkBegins {
			t.Errorf("%s: local work waits %v, want %v", c.profile, w, c.localWorkBegins)
		}
	}
}

// A suspicion that is repeated as rarely as it may be is not forgotten between.
func TestSuspicionsOutliveTheirRepetition(t *testing.T) {
	s := lan(t)
	s.IntervalMS, s.Misses, s.LeaseMS, s.LeaderIntervalMS = 1, 1, 600_000, 60_000
	if got := s.SuspicionLasts(); got <= s.RenewEvery() || got <= s.OwnProbe() || got <= 60*time.Second {
		t.Errorf("forgotten after %v", got)
	}
}
