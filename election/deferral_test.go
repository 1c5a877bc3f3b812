package election

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

// A member that has told who leads now lets its disk and its answer wait, but
// not what somebody waits for, and then what waited goes first.
func TestEffectsThatNobodyWaitsForAreDeferredAfterADeclaration(t *testing.T) {
	answer := Send{Message: Message{To: 2, Raft: &raftpb.Message{Type: raftpb.MsgAppResp.Enum()}}}
	vote := Send{Message: Message{To: 2, Raft: &raftpb.Message{Type: raftpb.MsgVoteResp.Enum()}}}
	renewed := Send{Message: Message{To: 2, RenewAck: &RenewAck{}}}
	persist := Persist{Seq: 1}
	removed := Removed{}
	name := func(e Effect) string {
		switch e := e.(type) {
		case Persist:
			return "persist"
		case Removed:
			return "removed"
		case Send:
			switch {
			case e.Message.RenewAck != nil:
				return "renewed"
			case e.Message.Raft.GetType() == raftpb.MsgVoteResp:
				return "vote"
			}
			return "answer"
		}
		return fmt.Sprintf("%T", e)
	}
	const ms = time.Millisecond
	for what, tt := range map[string]struct {
		leader uint64
		// turns are a millisecond apart; each but the first declares again if
		// again is set.
		turns [][]Effect
		want  []string
		again bool
		// proof is for how long after the first turn the leader is known to lead.
		proof time.Duration
	}{
		"until nobody tells any more":      {2, [][]Effect{{persist, answer}}, []string{"persist at 8ms", "answer at 8ms"}, false, time.Second},
		"and what follows with it":         {2, [][]Effect{{persist}, {answer}}, []string{"persist at 8ms", "answer at 8ms"}, false, time.Second},
		"not what prolongs a lease":        {2, [][]Effect{{persist, renewed}}, []string{"persist at 0s", "renewed at 0s"}, false, time.Second},
		"which takes what waits with it":   {2, [][]Effect{{persist}, {renewed}}, []string{"persist at 1ms", "renewed at 1ms"}, false, time.Second},
		"nor a vote":                       {2, [][]Effect{{persist}, {vote}}, []string{"persist at 1ms", "vote at 1ms"}, false, time.Second},
		"nor the end of the membership":    {2, [][]Effect{{persist}, {removed}}, []string{"persist at 1ms", "removed at 1ms"}, false, time.Second},
		"and the next one waits no more":   {2, [][]Effect{{renewed}, {answer}}, []string{"renewed at 0s", "answer at 1ms"}, false, time.Second},
		"however many leaders follow":      {2, [][]Effect{{persist}, {answer}, {}}, []string{"persist at 8ms", "answer at 8ms"}, true, time.Second},
		"the leader itself defers nothing": {1, [][]Effect{{persist, answer}}, []string{"persist at 0s", "answer at 0s"}, false, time.Second},
		"nor after one without proof":      {2, [][]Effect{{persist, answer}}, []string{"persist at 0s", "answer at 0s"}, false, 0},
		"nor one that is no member":        {3, [][]Effect{{persist, answer}}, []string{"persist at 0s", "answer at 0s"}, false, time.Second},
	} {
		t.Run(what, func(t *testing.T) {
			s := &ring.State{Term: 1, Members: []ring.Member{{ID: 1, Name: "n1"}, {ID: 2, Name: "n2"}}}
			d := NewDeferral(1, s)
			began := Instant(time.Minute)
			var got []string
			for at := range 20 {
				now := began.Add(time.Duration(at) * ms)
				var effects []Effect
				if at < len(tt.turns) {
					effects = tt.turns[at]
					if at == 0 || tt.again {
						next := *s
						s = &next
						s.Term++
						s.LeaderID = tt.leader
					}
				} else if now < d.Ends() {
					continue // nothing calls for a turn
				}
				for _, e := range d.Turn(now, s, began.Add(tt.proof), effects) {
					got = append(got, fmt.Sprint(name(e), " at ", now.Sub(began)))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if d.Ends() != Never {
				t.Errorf("a turn is wanted at %v, although nothing is held back", d.Ends())
			}
		})
	}
}

// The declaration that a member finds in its log at its start is no news.
func TestAMemberThatStartsDefersNothing(t *testing.T) {
	s := &ring.State{Term: 7, LeaderID: 2, Members: []ring.Member{{ID: 1}, {ID: 2}}}
	d := NewDeferral(1, s)
	if due := d.Turn(Instant(time.Second), s, Never, []Effect{Persist{}}); len(due) != 1 {
		t.Errorf("%d effects are due, want 1", len(due))
	}
	joiner := NewDeferral(1, &ring.State{})
	if due := joiner.Turn(Instant(time.Second), s, Never, []Effect{Persist{}}); len(due) != 1 {
		t.Errorf("a joiner: %d effects are due, want 1", len(due))
	}
}

// A process that was stopped in between takes the next declaration before it gets
// to what the one before it held back.
func TestWhatWasHeldBackDoesNotWaitForTheNextLeader(t *testing.T) {
	s := &ring.State{Term: 1, LeaderID: 2, Members: []ring.Member{{ID: 1, Name: "n1"}, {ID: 2, Name: "n2"}}}
	d := NewDeferral(1, s)
	const began, late = Instant(time.Minute), Instant(time.Minute + time.Second)
	turn := func(now Instant, e Effect) []Effect {
		next := *s
		next.Term++
		s = &next
		return d.Turn(now, s, now.Add(time.Second), []Effect{e})
	}
	if due := turn(began, Persist{Seq: 1}); len(due) != 0 {
		t.Fatalf("due at once: %v", due)
	}
	if due := turn(late, Persist{Seq: 2}); len(due) != 1 || due[0].(Persist).Seq != 1 {
		t.Errorf("due after a second: %v, want the first write alone", due)
	}
	if end := d.Ends(); end != late.Add(durations.Deferral) {
		t.Errorf("the second write waits until %v, want %v", end, late.Add(durations.Deferral))
	}
	if due := d.Turn(d.Ends(), s, late.Add(time.Second), nil); len(due) != 1 || due[0].(Persist).Seq != 2 {
		t.Errorf("due at the end: %v, want the second write", due)
	}
}
