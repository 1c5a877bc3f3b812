package transport

import (
	"slices"
	"sync"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/limits"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// item is one message on its way out.
type item struct {
	env  *peerv1.StreamRequest
	from uint64
	size int
	gist gist
	snap bool
}

func newItem(m election.Message, env *peerv1.StreamRequest) item {
	it := item{env: env, from: m.From, size: 64, gist: gistOf(m.Raft), snap: m.Raft.GetType() == raftpb.MsgSnap}
	if raft, ok := env.GetBody().(*peerv1.StreamRequest_Raft); ok {
		it.size += len(raft.Raft)
	}
	return it
}

// gist is what reports whether a raft message says all that an earlier one does.
// Raft sends the commit index on its own right before the next entry, whose
// message has it too, to everybody who is not waited for; and every message
// costs both ends more than anything in it.
type gist struct {
	kind                raftpb.MessageType
	term, index, commit uint64
	// bare: an append without entries, or an acknowledgement.
	bare bool
}

// gistOf returns the gist of an append or an acknowledgement; that of a refusal, or
// of another kind, is empty.
func gistOf(m *raftpb.Message) gist {
	kind := m.GetType()
	ack := kind == raftpb.MsgAppResp && !m.GetReject()
	if kind != raftpb.MsgApp && !ack {
		return gist{}
	}
	return gist{kind: kind, term: m.GetTerm(), index: m.GetIndex(), commit: m.GetCommit(), bare: ack || len(m.GetEntries()) == 0}
}

// covers reports whether nothing is lost with an earlier message.
func (g gist) covers(old gist) bool {
	return old.bare && g.kind == old.kind && g.term == old.term && g.index >= old.index && g.commit >= old.commit
}

// queue is what waits for one peer: bounded, the oldest dropped first. All but
// snapshots leave in the order in which they came; snapshots, the only large
// messages, leave when nothing else waits, and only the newest one is kept. A
// raft message takes the place of the last one if it says all that that does.
type queue struct {
	// ready has room for one: something was pushed since it was last taken.
	ready chan struct{}

	mu sync.Mutex
	// items wait from head on; those before it have left.
	items   []item
	head    int
	bytes   int
	snap    *item
	down    bool
	dropped uint64
}

func newQueue() *queue {
	return &queue{ready: make(chan struct{}, 1), down: true}
}

// push never blocks. If something had to be dropped for it, it returns how much was
// dropped since the start, else 0.
func (q *queue) push(it item) (dropped uint64) {
	q.mu.Lock()
	before := q.dropped
	if it.snap {
		if q.snap != nil {
			q.dropped++
		}
		snap := it // so that only snapshots are copied to the heap
		q.snap = &snap
	} else {
		if n := len(q.items); q.waitingLocked() > 0 && it.gist.covers(q.items[n-1].gist) && it.from == q.items[n-1].from {
			q.bytes -= q.items[n-1].size
			q.items = q.items[:n-1]
		}
		q.items = append(q.items, it)
		q.bytes += it.size
		q.trimLocked()
	}
	if q.dropped != before {
		dropped = q.dropped
	}
	q.mu.Unlock()
	connect.Notify(q.ready)
	return dropped
}

// waitingLocked counts the items.
func (q *queue) waitingLocked() int { return len(q.items) - q.head }

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waitingLocked() == 0 && q.snap == nil
}

func (q *queue) trimLocked() {
	limit := queueMessages
	if q.down {
		limit = queueMessagesDown
	}
	// A single message above the bytes' bound is let through.
	for q.waitingLocked() > limit || q.bytes > limits.PeerQueue && q.waitingLocked() > 1 {
		q.takeLocked()
		q.dropped++
	}
}

// takeLocked takes the oldest item. The room of those that have left is used again
// when they are half of the slice.
func (q *queue) takeLocked() item {
	it := q.items[q.head]
	q.items[q.head] = item{}
	q.bytes -= it.size
	if q.head++; 2*q.head >= len(q.items) {
		q.items, q.head = slices.Delete(q.items, 0, q.head), 0
	}
	return it
}

// pop returns the next message, or false.
func (q *queue) pop() (item, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waitingLocked() > 0 {
		return q.takeLocked(), true
	}
	if q.snap != nil {
		it := *q.snap
		q.snap = nil
		return it, true
	}
	return item{}, false
}

// putBack lets what was sent on a stuck connection leave again, first.
func (q *queue) putBack(items []item) {
	if len(items) == 0 {
		return
	}
	q.mu.Lock()
	q.items = slices.Insert(q.items, q.head, items...)
	for _, it := range items {
		q.bytes += it.size
	}
	q.trimLocked()
	q.mu.Unlock()
	connect.Notify(q.ready)
}

// takeAll takes what waits, but for a snapshot: that is made again.
func (q *queue) takeAll() []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := slices.Clone(q.items[q.head:])
	clear(q.items)
	q.items, q.head, q.bytes, q.snap = q.items[:0], 0, 0, nil
	return items
}

// setDown changes the bounds. A snapshot does not wait for a peer that went
// down: raft is told that it was lost and makes a newer one.
func (q *queue) setDown(down bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if down && !q.down && q.snap != nil {
		q.snap = nil
		q.dropped++
	}
	q.down = down
	q.trimLocked()
}
