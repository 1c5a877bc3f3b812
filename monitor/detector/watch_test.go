package detector

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/mono"
)

// A row of dead members costs one detection time and an interval for each
// doubling of its length.
func TestARowOfDeadMembersCostsOneDetectionTime(t *testing.T) {
	for dead := 1; dead <= 15; dead++ {
		s := newScene(1)
		l := Link{OrdinaryTiming: Config{100 * ms, 5}, LeaderTiming: Config{100 * ms, 5}}
		for id := uint64(1); id <= 20; id++ {
			l.Targets = append(l.Targets, Target{ID: id})
			s.silent[id] = id <= uint64(dead)
		}
		delete(s.silent, 1)
		s.do(s.Relink(0, l))
		s.pass(time.Second + 50*ms)
		s.silent[1] = true
		died := s.now
		doublings := 0
		for n := 1; n < dead; n *= 2 {
			doublings++
		}
		s.pass(100 * ms * time.Duration(5+1+doublings))
		for id := uint64(1); id <= uint64(dead); id++ {
			if state, reason := s.Look(s.now, id); state != Suspect {
				t.Errorf("%d dead: %d is %v (%v) %v after they died", dead, id, state, reason, s.now.Sub(died))
			}
		}
		if state, _ := s.Look(s.now, uint64(dead)+1); state != Alive {
			t.Errorf("%d dead: the first living one is %v", dead, state)
		}
	}
}

func TestWatchedIsBounded(t *testing.T) {
	s := newScene(1)
	l := Link{OrdinaryTiming: Config{100 * ms, 1}, LeaderTiming: Config{100 * ms, 1}}
	for id := uint64(1); id <= 100; id++ {
		l.Targets = append(l.Targets, Target{ID: id})
		s.silent[id] = true
	}
	s.do(s.Relink(0, l))
	s.pass(time.Minute)
	if got := len(s.open); got != MaxWatched {
		t.Errorf("%d members are looked at, want %d", got, MaxWatched)
	}
	s.do(s.Relink(s.now, Link{}))
	if s.NextTick() != mono.Never || len(s.open) != 0 || s.Front().ID != 0 {
		t.Errorf("an empty link leaves %v", s.open)
	}
}

// Look returns what is thought of the target.
func (w *Watch) Look(now mono.Instant, id uint64) (State, Reason) {
	if o := w.find(id); o != nil {
		return o.det.state, o.det.Reason(now)
	}
	return Unknown, Reason{}
}
