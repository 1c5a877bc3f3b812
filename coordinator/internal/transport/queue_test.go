package transport

import (
	"slices"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/peerwire"
)

func pushed(t *testing.T, q *queue, m election.Message) bool {
	t.Helper()
	env, err := peerwire.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return q.push(newItem(m, env)) > 0
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
	if q.dropped != 10 {
		t.Errorf("%d counted as dropped, want 10", q.dropped)
	}
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	q := newQueue()
	q.setDown(false)
	pushed(t, q, renew(1, 2, 1))
	pushed(t, q, bulk(1, 2, 1, limits.PeerQueue+1)) // alone it passes
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

// What a later raft message says too is not sent before it; everything else is.
func TestQueueSparesWhatIsCovered(t *testing.T) {
	app := func(term, index, commit uint64, entries ...*raftpb.Entry) *raftpb.Message {
		return &raftpb.Message{Type: raftpb.MsgApp.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(term), Index: new(index), Commit: new(commit), Entries: entries}
	}
	ack := func(term, index uint64, reject bool) *raftpb.Message {
		return &raftpb.Message{Type: raftpb.MsgAppResp.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(term), Index: new(index), Reject: new(reject)}
	}
	entry := &raftpb.Entry{Term: new(uint64(5)), Index: new(uint64(8)), Data: []byte("x")}
	for _, c := range []struct {
		name        string
		first, then *raftpb.Message
		left        int
	}{
		{"a commit index, then an entry with it", app(5, 7, 7), app(5, 7, 7, entry), 1},
		{"two commit indexes", app(5, 7, 6), app(5, 7, 7), 1},
		{"an entry, then its commit index", app(5, 7, 7, entry), app(5, 8, 8), 2},
		{"an older commit index", app(5, 7, 7), app(5, 7, 6, entry), 2},
		{"another term", app(5, 7, 7), app(6, 7, 7, entry), 2},
		{"a message for an earlier place in the log", app(5, 7, 7), app(5, 6, 7, entry), 2},
		{"two acknowledgements", ack(5, 7, false), ack(5, 8, false), 1},
		{"an acknowledgement, then a refusal", ack(5, 7, false), ack(5, 8, true), 2},
		{"a refusal, then an acknowledgement", ack(5, 7, true), ack(5, 8, false), 2},
		{"an append and an acknowledgement", app(5, 7, 7), ack(5, 7, false), 2},
	} {
		q := newQueue()
		q.setDown(false)
		pushed(t, q, renew(1, 2, 1))
		pushed(t, q, election.Message{From: 1, To: 2, Raft: c.first})
		if pushed(t, q, election.Message{From: 1, To: 2, Raft: c.then}) {
			t.Errorf("%s: told as dropped", c.name)
		}
		_, _ = q.pop()
		var last item
		left := 0
		for it, ok := q.pop(); ok; it, ok = q.pop() {
			last, left = it, left+1
		}
		m := &raftpb.Message{}
		if err := proto.Unmarshal(last.env.GetRaft(), m); err != nil || left != c.left || !proto.Equal(m, c.then) {
			t.Errorf("%s: %d messages, the last %v, %v; want %d and the second", c.name, left, m, err, c.left)
		}
		if q.bytes != 0 {
			t.Errorf("%s: %d bytes are counted in an empty queue", c.name, q.bytes)
		}
	}
}
