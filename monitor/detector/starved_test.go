package detector

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

// starved is a monitor that is preempted again and again, after any event that
// it handles, beside a neighbour that is well: what comes meanwhile waits.
type starved struct {
	*link
	rng   *rand.Rand
	stall time.Duration // how long at most, and half of that at least
	// tickFirst is how likely a tick that is due is handled before an answer
	// that waits.
	tickFirst float64

	wakes  mono.Instant
	pongs  []pong
	alarms int
}

func (s *starved) done(changed bool) {
	if changed && s.state == Suspect {
		s.alarms++
	}
	if s.rng.IntN(2) == 0 {
		s.wakes = s.now.Add(s.stall / 2).Add(time.Duration(s.rng.Int64N(int64(s.stall / 2))))
	}
}

// run lets time pass; each probe is answered after the round trip, unless the
// neighbour is dead.
func (s *starved) run(d time.Duration, dead bool) {
	for end := s.now.Add(d); s.now < end; {
		tick := max(s.next, s.wakes, s.now)
		if len(s.pongs) > 0 {
			at := max(s.pongs[0].at, s.wakes, s.now)
			if at < tick || at == tick && s.rng.Float64() >= s.tickFirst {
				s.now = at
				seq := s.pongs[0].seq
				s.pongs = s.pongs[1:]
				s.done(s.Pong(at, seq))
				continue
			}
		}
		s.now = tick
		ping, changed := s.Tick(tick)
		if !dead {
			s.pongs = append(s.pongs, pong{at: tick.Add(ms / 2), seq: ping})
		}
		s.done(changed)
	}
}

func TestAStarvedMonitorSuspectsNobodyWhoIsWell(t *testing.T) {
	for _, c := range []Config{{ms, 4}, {2 * ms, 3}, {10 * ms, 3}, {30 * ms, 5}, {100 * ms, 5}} {
		for _, stall := range []time.Duration{5 * ms, 20 * ms, 100 * ms, time.Second} {
			for _, tickFirst := range []float64{0, 0.3} {
				t.Run(fmt.Sprintf("%vx%d/stall=%v/tickFirst=%v", c.Interval, c.Misses, stall, tickFirst), func(t *testing.T) {
					for seed := range uint64(20) {
						s := &starved{
							link: newLink(t, c.Interval, c.Misses), rng: rand.New(rand.NewPCG(seed, 7)),
							stall: stall, tickFirst: tickFirst,
						}
						s.run(20*time.Second, false)
						if s.alarms > 0 {
							t.Fatalf("seed %d: %d suspicions of a neighbour that answers in 0.5ms", seed, s.alarms)
						}
						// One that is dead is found all the same.
						s.pongs = nil
						from := s.now
						for s.state != Suspect {
							s.run(c.Interval, true)
							// Each tick may wait for a stall, and be excused.
							if n := time.Duration((excusesPerMiss+1)*c.Misses + 3); s.now.Sub(from) > n*(stall+c.Interval) {
								t.Fatalf("seed %d: silent for %v and not suspected", seed, s.now.Sub(from))
							}
						}
					}
				})
			}
		}
	}
}
