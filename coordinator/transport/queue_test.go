package transport

import (
	"slices"
	"testing"

	"github.com/arc-ring/arc/election"
)

func pushed(t *testing.T, q *queue, m election.Message) bool {
	t.Helper()
	env, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return q.push(m, env)
}

func drained(q *queue) (seqs []uint64) {
	for {
		it, ok := q.pop()
		if !ok {
			return seqs
		}
		if r := it.env.GetRenew(); r != nil {
			seqs = append(seqs, r.GetSeq())
		} else {
			seqs = append(seqs, 0)
		}
	}
}

func TestQueueKeepsTheNewest(t *testing.T) {
	q := newQueue()
	q.setDown(false)
	for i := uint64(1); i <= queueMessages+10; i++ {
		if dropped := pushed(t, q, renew(1, 2, i)); dropped != (i > queueMessages) {
			t.Errorf("push %d dropped %v", i, dropped)
		}
	}
	got := drained(q)
	if len(got) != queueMessages || got[0] != 11 || !slices.IsSorted(got) {
		t.Errorf("%d messages kept from %d on, want %d from 11 on", len(got), got[0], queueMessages)
	}
	if q.droppedTotal() != 10 {
		t.Errorf("%d counted as dropped, want 10", q.droppedTotal())
	}
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	q := newQueue()
	q.setDown(false)
	pushed(t, q, renew(1, 2, 1))
	pushed(t, q, bulk(1, 2, 1, queueBytes+1)) // alone it passes
	if got := drained(q); !slices.Equal(got, []uint64{0}) {
		t.Errorf("kept %v, want the large one alone", got)
	}
	for i := uint64(1); i <= 10; i++ {
		pushed(t, q, bulk(1, 2, i, 1<<20))
	}
	if got := drained(q); len(got) != 3 {
		t.Errorf("%d messages of 1 MiB kept, want 3", len(got))
	}
	if q.bytes != 0 {
		t.Errorf("an empty queue counts %d bytes", q.bytes)
	}
}

func TestQueueOfADownPeerIsShort(t *testing.T) {
	q := newQueue()
	q.setDown(false)
	for i := uint64(1); i <= 500; i++ {
		pushed(t, q, renew(1, 2, i))
	}
	q.setDown(true)
	if got := drained(q); len(got) != queueMessagesDown || got[0] != 500-queueMessagesDown+1 {
		t.Errorf("%d messages kept from %d on, want %d", len(got), got[0], queueMessagesDown)
	}
}

func TestQueuePutsBackInFront(t *testing.T) {
	q := newQueue()
	for i := uint64(1); i <= 4; i++ {
		pushed(t, q, renew(1, 2, i))
	}
	first, _ := q.pop()
	second, _ := q.pop()
	q.putBack([]item{first, second})
	q.putBack(nil)
	if got := drained(q); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
		t.Errorf("order %v, want 1 to 4", got)
	}
	if q.bytes != 0 {
		t.Errorf("an empty queue counts %d bytes", q.bytes)
	}
}
