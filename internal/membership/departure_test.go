package membership

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/ring"
)

func ringOf(term uint64, ids ...uint64) *ring.State {
	s := &ring.State{RingID: "r", Term: term}
	for _, id := range ids {
		s.Members = append(s.Members, ring.Member{ID: id, Name: fmt.Sprint("n", id)})
	}
	return s
}

func described(s Step) string {
	what := map[Move]string{Wait: "wait", AskSelf: "ask itself", AskLeader: "ask the leader", AwaitRemoval: "await removal", Refuse: "refuse"}[s.Move]
	switch {
	case s.Request.Stop != nil:
		what += " to stop"
	case s.Request.Leave != nil:
		what += " to leave"
	case s.Request.Handover != nil:
		what += " to hand over"
	}
	return what
}

func TestDeparture(t *testing.T) {
	at := mono.Instant(time.Hour)
	for name, c := range map[string]struct {
		stopping bool
		scene    Scene
		after    time.Duration // for which it leads already
		want     string
	}{
		"a follower":                      {false, Scene{Ring: ringOf(7, 1, 2), Leader: 2}, 0, "ask the leader to leave"},
		"a follower that stops":           {true, Scene{Ring: ringOf(7, 1, 2), Leader: 2}, 0, "ask the leader to stop"},
		"nobody leads":                    {false, Scene{Ring: ringOf(7, 1, 2)}, 0, "wait"},
		"it is out":                       {false, Scene{Ring: ringOf(7, 2, 3), Leader: 2}, 0, "await removal"},
		"it has no state yet":             {false, Scene{Ring: &ring.State{}}, 0, "wait"},
		"the last one":                    {false, Scene{Ring: ringOf(7, 1), Leader: 1, Counted: 1}, 0, "refuse"},
		"the last one, others counted":    {false, Scene{Ring: ringOf(7, 1), Leader: 1, Counted: 2}, 0, "wait"},
		"the last one, others leave":      {false, Scene{Ring: ringOf(7, 1), Leader: 1, Counted: 1, OthersLeave: true}, 0, "wait"},
		"a leader":                        {false, Scene{Ring: ringOf(7, 1, 2), Leader: 1}, 0, "ask itself to hand over"},
		"a leader that stops":             {true, Scene{Ring: ringOf(7, 1, 2), Leader: 1}, 0, "ask itself to stop"},
		"a leader, others leave":          {false, Scene{Ring: ringOf(7, 1, 2), Leader: 1, OthersLeave: true}, 0, "wait"},
		"a leader, others leave for long": {false, Scene{Ring: ringOf(7, 1, 2), Leader: 1, OthersLeave: true}, durations.LeaveQueue, "ask itself to hand over"},
		"a leader since it leaves":        {false, Scene{Ring: ringOf(8, 1, 2), Leader: 1}, 0, "wait"},
		"and for a while":                 {false, Scene{Ring: ringOf(8, 1, 2), Leader: 1}, durations.LeaveYield, "ask itself to hand over"},
	} {
		d := Depart(1, "n1", c.stopping, 7)
		got := d.Next(at, c.scene)
		if c.after > 0 {
			got = d.Next(at.Add(c.after), c.scene)
		}
		if described(got) != c.want {
			t.Errorf("%s: %s (%v), want %s", name, described(got), got.Err, c.want)
		}
		if (got.Move == Wait) != (got.Err != nil && Passes(got.Err)) {
			t.Errorf("%s: the error %v passes: %v", name, got.Err, Passes(got.Err))
		}
	}
}

// A leader that stops asks once whether all do. If they do not, it hands over.
func TestALeaderAsksOnceWhetherTheRingRests(t *testing.T) {
	d, s := Depart(1, "n1", true, 7), Scene{Ring: ringOf(7, 1, 2), Leader: 1}
	at := mono.Instant(time.Hour)
	stop := d.Next(at, s)
	if err := d.AnsweredSelf(stop, election.ErrRests); !errors.Is(err, election.ErrRests) || Passes(err) {
		t.Errorf("all stop: %v, want ErrRests, which does not pass", err)
	}
	if err := d.AnsweredSelf(stop, election.ErrIsLeader); err != nil {
		t.Errorf("not all stop: %v", err)
	}
	hand := d.Next(at, s)
	if described(hand) != "ask itself to hand over" {
		t.Errorf("then it would %s", described(hand))
	}
	if err := d.AnsweredSelf(hand, nil); !Passes(err) {
		t.Errorf("handed over: %v, want an error that passes", err)
	}
}
