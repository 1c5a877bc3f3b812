package loop

import (
	"errors"
	"testing"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
)

func TestInboxDropsTheOldestMessages(t *testing.T) {
	b := newInbox()
	for i := range messagesKept + 5 {
		b.deliver(election.Message{From: uint64(i)})
	}
	_, messages, inputs, dropped := b.take()
	if len(messages) != messagesKept || dropped != 5 {
		t.Fatalf("%d messages, %d dropped; want %d, 5", len(messages), dropped, messagesKept)
	}
	for i, m := range messages {
		if m.From != uint64(i+5) {
			t.Fatalf("message %d is number %d, want %d", i, m.From, i+5)
		}
	}
	b.recycle(nil, messages, inputs)
	b.deliver(election.Message{From: 1})
	if _, messages, _, dropped := b.take(); len(messages) != 1 || messages[0].From != 1 || dropped != 0 {
		t.Errorf("then %d messages, %d dropped; want the one", len(messages), dropped)
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
	b.must(in) // what the loop itself waits for always has room
	if _, _, inputs, _ := b.take(); len(inputs) != inputsKept+1 {
		t.Errorf("%d inputs, want %d", len(inputs), inputsKept+1)
	}
	b.close()
	if err := b.post(in); !errors.Is(err, reason.ErrStopping) {
		t.Errorf("after close: %v, want ErrStopping", err)
	}
	b.must(in)
	b.deliver(election.Message{})
	if _, messages, inputs, _ := b.take(); len(messages)+len(inputs) != 0 {
		t.Errorf("after close it keeps %d messages and %d inputs", len(messages), len(inputs))
	}
}

func TestInboxWakesOnce(t *testing.T) {
	b := newInbox()
	b.deliver(election.Message{})
	b.must(func(election.Instant) {})
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
	pings, _, _, _ := b.take()
	if len(pings) != pingsKept || pings[0].Seq != 1 || pings[pingsKept-1].Seq != pingsKept {
		t.Errorf("took %d pings: %v", len(pings), pings)
	}
	b.recycle(pings, nil, nil)
	if !b.pinged(election.Ping{Seq: 1}) {
		t.Error("not taken although there is room again")
	}
	b.close()
	if b.pinged(election.Ping{Seq: 2}) {
		t.Error("taken after the end")
	}
}
