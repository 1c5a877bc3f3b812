package supervise

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
	localv1 "github.com/arc-ring/arc/proto/arc/local/v1"
	"github.com/arc-ring/arc/ring"
)

func TestPulse(t *testing.T) {
	const patience = 2 * time.Second
	for name, c := range map[string]struct {
		// beats are when the monitor gives a sign of life; stops when this process
		// does not run, from and to.
		beats  []election.Instant
		stops  [2]election.Instant
		silent election.Instant // when it is found silent; 0: not within a minute
	}{
		"never registered":                {nil, [2]election.Instant{}, mono.Instant(durations.MonitorStart)},
		"stopped after four beats":        {beatsUntil(4), [2]election.Instant{}, mono.Instant(4*time.Second + patience)},
		"beats":                           {beatsUntil(60), [2]election.Instant{}, 0},
		"this process was stopped itself": {append(beatsUntil(3), beatsUntil(60)[14:]...), [2]election.Instant{mono.Instant(4 * time.Second), mono.Instant(15 * time.Second)}, 0},
		"both were stopped, it for good":  {beatsUntil(3), [2]election.Instant{mono.Instant(4 * time.Second), mono.Instant(20 * time.Second)}, mono.Instant(20*time.Second + patience/2)},
	} {
		t.Run(name, func(t *testing.T) {
			var p pulse
			p.begin(0)
			next, at := election.Instant(0), election.Instant(0)
			for ; at < election.Instant(time.Minute); at = at.Add(50 * time.Millisecond) {
				if at >= c.stops[0] && at < c.stops[1] {
					continue
				}
				// What came while this process did not run is read late: the timer
				// comes first.
				if at >= next {
					var silent bool
					if next, silent = p.check(at, patience); silent {
						break
					}
				}
				for len(c.beats) > 0 && c.beats[0] <= at {
					p.beat(at)
					c.beats = c.beats[1:]
				}
			}
			if at == election.Instant(time.Minute) {
				at = 0
			}
			if at != c.silent {
				t.Errorf("found silent at %v, want %v (0: never)", at, c.silent)
			}
		})
	}
}

// beatsUntil is one beat a second.
func beatsUntil(n int) []election.Instant {
	var out []election.Instant
	for i := range n {
		out = append(out, mono.Instant(time.Duration(i+1)*time.Second))
	}
	return out
}

// A stopped monitor is noticed within a few of the times that the ring takes to
// suspect a member.
func TestPatienceWithMonitors(t *testing.T) {
	for _, name := range ring.Profiles {
		s, err := ring.ProfileSettings(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, hang := range []uint32{s.HangAfterMS, 0} {
			s.HangAfterMS = hang
			r := election.Relink{Settings: s}
			patience := patienceWith(LinkToWire(r, "r", "c"))
			if d := s.Detection(false); patience < 2*d || patience > 4*d {
				t.Errorf("%s, hang_after_ms %d: patience %v, detection %v", name, hang, patience, d)
			}
			if every := s.BeatEvery(); patience < beatsMissed*every {
				t.Errorf("%s, hang_after_ms %d: patience %v is less than %d beats of %v", name, hang, patience, beatsMissed, every)
			}
		}
	}
	if got := patienceWith(&localv1.Link{}); got != beatsMissed*time.Second {
		t.Errorf("patience without settings is %v", got)
	}
}
