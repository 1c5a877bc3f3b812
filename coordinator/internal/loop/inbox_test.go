package loop

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
)

// deliver and pinged leave what Loop.Deliver and Loop.Pinged do.
func (b *inbox) deliver(m election.Message) { (&Loop{inbox: b}).Deliver(m) }

func (b *inbox) pinged(p election.Ping) bool { return (&Loop{inbox: b}).Pinged(p) }

func TestInboxDropsTheOldestMessages(t *testing.T) {
	b := newInbox()
	for i := range messagesKept + 5 {
		b.deliver(election.Message{From: uint64(i)})
	}
	in, lost := b.take()
	next := uint64(5)
	for _, i := range in {
		if i.kind == isStale {
			continue
		}
		if i.message.From != next {
			t.Fatalf("message number %d, want %d", i.message.From, next)
		}
		next++
	}
	if next != messagesKept+5 || lost != 5 {
		t.Fatalf("messages up to %d, %d dropped; want %d, 5", next, lost, messagesKept+5)
	}
	b.recycle(in)
	b.deliver(election.Message{From: 1})
	if in, lost := b.take(); len(in) != 1 || in[0].message.From != 1 || lost != 0 {
		t.Errorf("then %d items, %d dropped; want the one", len(in), lost)
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
	if in, _ := b.take(); len(in) != inputsKept+1 {
		t.Errorf("%d inputs, want %d", len(in), inputsKept+1)
	}
	b.close()
	if err := b.post(in); !errors.Is(err, reason.ErrStopping) {
		t.Errorf("after close: %v, want ErrStopping", err)
	}
	b.postUnbounded(in)
	b.deliver(election.Message{})
	if in, _ := b.take(); len(in) != 0 {
		t.Errorf("after close it keeps %d items", len(in))
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
		in, _ := b.take()
		for _, i := range in {
			switch {
			case i.kind == isMessage && i.message.From > 0:
				got = append(got, fmt.Sprint("message ", i.message.From))
			case i.kind == isPing:
				got = append(got, fmt.Sprint("ping ", i.ping.Seq))
			case i.kind == isInput:
				i.input(0)
			}
		}
		want := []string{"message 1", "input", "message 2", "ping 3", "message 4"}
		if flood > 0 {
			want = []string{"input", "ping 3", "message 4"}
		}
		if flood > messagesKept {
			want = []string{"input", "ping 3"}
			if len(in) > 3*messagesKept {
				t.Errorf("%d items are kept for %d messages", len(in), messagesKept)
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
	in, _ := b.take()
	if len(in) != pingsKept || in[0].ping.Seq != 1 || in[pingsKept-1].ping.Seq != pingsKept {
		t.Errorf("took %d pings: %v", len(in), in)
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
