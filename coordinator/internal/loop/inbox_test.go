package loop

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
)

func TestInboxDropsTheOldestMessages(t *testing.T) {
	b := newInbox()
	for i := range messagesKept + 5 {
		b.deliver(election.Message{From: uint64(i)})
	}
	in, next := b.take(), uint64(5)
	in.each(func(m election.Message) {
		if m.From != next {
			t.Fatalf("message number %d, want %d", m.From, next)
		}
		next++
	}, nil, nil)
	if next != messagesKept+5 || in.lost != 5 {
		t.Fatalf("messages up to %d, %d dropped; want %d, 5", next, in.lost, messagesKept+5)
	}
	b.recycle(in)
	b.deliver(election.Message{From: 1})
	if in := b.take(); len(in.order) != 1 || in.messages[0].From != 1 || in.lost != 0 {
		t.Errorf("then %d items, %d dropped; want the one", len(in.order), in.lost)
	}
}

func TestInboxRefusesInputsBeyondItsRoom(t *testing.T) {
	b := newInbox()
	in := func(election.Instant) {}
	for range inputsKept {
		if err := b.post(in); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.post(in); !errors.Is(err, reason.ErrOverload) {
		t.Errorf("one more: %v, want ErrOverload", err)
	}
	b.postUnbounded(in) // what the loop itself waits for always has room
	if in := b.take(); len(in.inputs) != inputsKept+1 {
		t.Errorf("%d inputs, want %d", len(in.inputs), inputsKept+1)
	}
	b.close()
	if err := b.post(in); !errors.Is(err, reason.ErrStopping) {
		t.Errorf("after close: %v, want ErrStopping", err)
	}
	b.postUnbounded(in)
	b.deliver(election.Message{})
	if in := b.take(); len(in.order) != 0 {
		t.Errorf("after close it keeps %d items", len(in.order))
	}
}

// What comes in is handled in the order in which it came, whatever it is, also
// where the oldest messages had to go.
func TestInboxKeepsTheOrderOfArrival(t *testing.T) {
	for name, flood := range map[string]int{"a few": 0, "too many messages": messagesKept, "for long": 3 * messagesKept} {
		b := newInbox()
		var got []string
		b.deliver(election.Message{From: 1})
		_ = b.post(func(election.Instant) { got = append(got, "input") })
		b.deliver(election.Message{From: 2})
		b.pinged(election.Ping{Seq: 3})
		b.deliver(election.Message{From: 4})
		for range flood - 1 {
			b.deliver(election.Message{})
		}
		in := b.take()
		in.each(
			func(m election.Message) {
				if m.From > 0 {
					got = append(got, fmt.Sprint("message ", m.From))
				}
			},
			func(p election.Ping) { got = append(got, fmt.Sprint("ping ", p.Seq)) },
			func(f input) { f(0) })
		want := []string{"message 1", "input", "message 2", "ping 3", "message 4"}
		if flood > 0 {
			want = []string{"input", "ping 3", "message 4"}
		}
		if flood > messagesKept {
			want = []string{"input", "ping 3"}
			if len(in.order) > 3*messagesKept {
				t.Errorf("%d kinds are kept for %d messages", len(in.order), messagesKept)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: handled %q, want %q", name, got, want)
		}
	}
}

func TestInboxWakesOnce(t *testing.T) {
	b := newInbox()
	b.deliver(election.Message{})
	b.postUnbounded(func(election.Instant) {})
	<-b.wake
	select {
	case <-b.wake:
		t.Error("two tokens for one visit")
	default:
	}
}

// A ping beyond the bound is not taken, so that it is not answered either.
func TestInboxBoundsPings(t *testing.T) {
	b := newInbox()
	for seq := uint64(1); seq <= pingsKept; seq++ {
		if !b.pinged(election.Ping{Seq: seq}) {
			t.Fatalf("ping %d was not taken", seq)
		}
	}
	if b.pinged(election.Ping{Seq: pingsKept + 1}) {
		t.Error("one more than fits was taken")
	}
	in := b.take()
	pings := in.pings
	if len(pings) != pingsKept || pings[0].Seq != 1 || pings[pingsKept-1].Seq != pingsKept {
		t.Errorf("took %d pings: %v", len(pings), pings)
	}
	b.recycle(in)
	if !b.pinged(election.Ping{Seq: 1}) {
		t.Error("not taken although there is room again")
	}
	b.close()
	if b.pinged(election.Ping{Seq: 2}) {
		t.Error("taken after the end")
	}
}
