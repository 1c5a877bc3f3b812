package election_test

import (
	"errors"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// Who wants the name of a member gets it only when that one is known to be
// gone, whatever addresses both have in common.
func TestWhoMayTakeAMembersName(t *testing.T) {
	const joiner = 99
	answered := func(by, as uint64) func(election.Probe) election.ProbeResult {
		return func(p election.Probe) election.ProbeResult {
			r := election.ProbeResult{Of: p, Outcome: election.Answered, AnsweredBy: by, AnsweredAs: as}
			if by == 0 {
				r.AnsweredBy = p.Incarnation
			}
			return r
		}
	}
	outcome := func(o election.ProbeOutcome) func(election.Probe) election.ProbeResult {
		return func(p election.Probe) election.ProbeResult {
			return election.ProbeResult{Of: p, Outcome: o}
		}
	}
	for name, c := range map[string]struct {
		finds  func(election.Probe) election.ProbeResult
		before func(w *world)
		want   error
	}{
		"the member answers":                       {answered(0, 2), nil, ring.ErrNameInUse},
		"the member answers, restarted":            {answered(77, 2), nil, ring.ErrNameInUse},
		"the joiner's process has its place":       {answered(joiner, 0), nil, nil},
		"yet another process has its place":        {answered(55, 0), nil, election.ErrBusy},
		"this leader alone cannot reach it":        {outcome(election.Unanswered), func(w *world) { w.cut[[2]string{"a", "b"}] = true }, election.ErrBusy},
		"nobody listens, and no monitor says so":   {outcome(election.NobodyListens), nil, election.ErrBusy},
		"it is certified dead":                     {answered(0, 2), func(w *world) { w.kill("b", true, "a"); w.run(5 * time.Millisecond) }, nil},
		"the leader's own name":                    {nil, nil, ring.ErrNameInUse},
		"it is found dead, and then evicted by it": {outcome(election.NobodyListens), func(w *world) { w.suspect("a", "b", ring.Refused); w.run(100 * time.Millisecond) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.form(t, lan(t), time.Second, "a", "b", "c")
			w.finds = c.finds
			if c.before != nil {
				c.before(w)
			}
			m := ring.Member{Name: "b", Incarnation: joiner, Nonce: 5, Addresses: []string{"b:7400", "bridge:7400"}}
			if c.finds == nil {
				m.Name = "a"
			}
			w.joiner = &node{name: "d", inc: joiner}
			w.nodes["d"] = w.joiner
			d, err := w.request(election.Request{Join: &ring.Join{Member: m}}, 3*time.Second)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			now, ok := w.leader().n.State().MemberByName("b")
			if err == nil && (!ok || now.Incarnation != joiner || now.ID != d.ID) {
				t.Errorf("joined as %d, the ring has %+v", d.ID, now)
			}
			if err != nil && (!ok || now.ID != 2) {
				t.Errorf("refused, but the ring has %+v", now)
			}
		})
	}
}

// A machine's process asks to join and ends, and the next one asks before the first is in.
// When it is the turn of the next one, the name is taken. It is not refused for good, as
// nobody has looked yet whether the one that took the name lives: it asks again.
func TestAJoinerThatAnotherOneWasBeforeAsksAgain(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), time.Second, "a", "b")
	w.joiner = &node{name: "d", inc: 98}
	w.nodes["d"] = w.joiner
	join := func(ref, incarnation uint64) election.Request {
		m := ring.Member{Name: "d", Incarnation: incarnation, Nonce: incarnation, Addresses: []string{"d:7400"}}
		return election.Request{Ref: ref, Join: &ring.Join{Member: m}}
	}
	const first, next = 1001, 1002
	w.to(w.leader(), func(now election.Instant) {
		w.leader().n.Request(now, join(first, 98))
		w.leader().n.Request(now, join(next, 99))
	})
	w.run(100 * time.Millisecond)
	if d, ok := w.done[first]; !ok || d.Err != nil {
		t.Errorf("the first is told %v, %v, want that it is in", ok, d.Err)
	}
	if d := w.done[next]; !errors.Is(d.Err, election.ErrBusy) || errors.Is(d.Err, ring.ErrNameInUse) {
		t.Errorf("the next is told %v, want that it asks again", d.Err)
	}
}
