package paths

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
)

// stream sends segments, and again those that are lost.
type stream struct {
	loss        Loss
	now         mono.Instant
	sent, again uint64
}

// pass sends so many in the time of a pass, of which some are sent again, and returns the verdict.
func (s *stream) pass(pause time.Duration, sent, again uint64) bool {
	s.now = s.now.Add(pause)
	s.sent += sent + again
	s.again += again
	return s.loss.Note(s.now, s.sent, s.again)
}

func TestLoss(t *testing.T) {
	for _, c := range []struct {
		name        string
		sent, again uint64
		lossy       bool
	}{
		{"nothing is lost", 60, 0, false},
		{"a host stands still twice", 60, 2, false},
		{"one in a hundred", 100, 1, false},
		{"the least that counts", 20, 4, true},
		{"a segment less", 21, 3, false},
		{"a third", 40, 20, true},
		{"too few to judge", 3, 3, false},
	} {
		var s stream
		if got := s.pass(durations.PathCheck, c.sent, c.again); got != c.lossy {
			t.Errorf("%s: lossy is %t", c.name, got)
		}
	}
}

// What was judged holds until the next segments are enough, and ends on a stream that
// is quiet.
func TestAVerdictHolds(t *testing.T) {
	var s stream
	if !s.pass(durations.PathCheck, 40, 20) {
		t.Fatal("a third is lost, and that is fine")
	}
	for range 3 {
		if !s.pass(durations.PathDoubted, 3, 0) {
			t.Error("three segments that arrive end the verdict")
		}
	}
	if s.pass(durations.PathDoubted, 20, 0) {
		t.Error("all segments arrive, and that is lossy")
	}
	s.pass(durations.PathCheck, 40, 20)
	if s.pass(durations.PathClean, 1, 0) {
		t.Error("a quiet stream stays lossy")
	}
}

// A third of all segments is lost, in rings of all profiles: the path is down soon, and
// is not up as long as that lasts.
func TestAThirdIsLost(t *testing.T) {
	for profile, every := range map[string]time.Duration{"lan": 50 * time.Millisecond, "fast": 15 * time.Millisecond, "realtime": time.Millisecond} {
		for seed := range uint64(200) {
			chance := rand.New(rand.NewPCG(seed, 1))
			var s stream
			var b Book
			var down mono.Instant
			pause := durations.PathCheck
			good := func(address string, outcome Outcome) Check {
				return Check{Path: Path{Peer{2, "n2"}, address}, On: Network{address, address}, Outcome: outcome}
			}
			for s.now < mono.Instant(time.Minute) {
				sent, again := uint64(0), uint64(0)
				for range int(pause / every) {
					sent++
					for chance.IntN(10) < 3 {
						again++
					}
				}
				outcome := Good
				if s.pass(pause, sent, again) {
					outcome = Missed
				}
				var news []News
				news, pause = b.Pass(s.now, []Check{good("a", outcome), good("b", Good)})
				for _, n := range news {
					if n.Word != Down || down != 0 {
						t.Fatalf("%s, seed %d: %v after %v", profile, seed, n, s.now)
					}
					down = s.now
				}
			}
			if down == 0 || down > mono.Instant(10*time.Second) {
				t.Errorf("%s, seed %d: a loss of a third from the start on is told at %v", profile, seed, down)
			}
		}
	}
}
