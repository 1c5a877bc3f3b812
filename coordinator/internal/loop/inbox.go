package loop

import (
	"math"
	"slices"
	"sync"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
)

const (
	// messagesKept bounds the peer messages that wait for the loop. When it
	// is full the oldest is dropped: every protocol message may be lost, and a
	// new one is worth more than an old one.
	messagesKept = 4096
	// inputsKept bounds requests, reports and the like; beyond it they are
	// refused, since their callers wait for an answer.
	inputsKept = 1024
	// pingsKept bounds the watchers' pings that wait for the loop.
	pingsKept = 64
)

// input is something other than a peer's message that the loop has to do. It
// runs on the loop's goroutine.
type input func(now election.Instant)

// kind is what an item of the inbox is.
type kind uint8

const (
	isStale kind = iota // a message that had to go
	isMessage
	isPing
	isInput
	kinds
)

// item is one thing that came in: what its kind says, and nothing else.
type item struct {
	kind    kind
	message election.Message
	ping    election.Ping
	input   input
}

// inbox is where everybody leaves what the event loop has to handle, in order of
// arrival. No method blocks for longer than a copy of a few words takes, so a
// stream's goroutine is never held up by a busy loop.
type inbox struct {
	mu     sync.Mutex
	items  []item
	count  [kinds]int // of the items
	oldest int        // no message waits before this item
	lost   int        // messages that were dropped
	closed bool
	// spare is the room of items that the loop has finished with.
	spare []item

	// wake has room for one token: the loop is due.
	wake chan struct{}
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// post leaves an input. It is refused with ErrOverload while too many wait and
// with ErrStopping once the loop has ended.
func (b *inbox) post(in input) error { return b.put(item{kind: isInput, input: in}, inputsKept) }

// postUnbounded leaves an input that only answers something which the loop itself
// asked for, so that their number is bounded by what is under way. It is
// dropped when the loop has ended.
func (b *inbox) postUnbounded(in input) { _ = b.put(item{kind: isInput, input: in}, math.MaxInt) }

// put leaves an item while fewer than room of its kind wait.
func (b *inbox) put(i item, room int) error {
	b.mu.Lock()
	err := b.putLocked(i, room)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return err
}

func (b *inbox) putLocked(i item, room int) error {
	switch {
	case b.closed:
		return reason.ErrStopping
	case b.count[i.kind] < room:
	case i.kind == isMessage:
		b.dropOldestLocked()
	default:
		return reason.ErrOverload
	}
	b.count[i.kind]++
	b.items = append(b.items, i)
	return nil
}

// dropOldestLocked makes room for a message.
func (b *inbox) dropOldestLocked() {
	for b.items[b.oldest].kind != isMessage {
		b.oldest++
	}
	b.items[b.oldest] = item{}
	b.count[isMessage]--
	b.count[isStale]++
	b.lost++
	if b.count[isStale] == messagesKept {
		b.items = slices.DeleteFunc(b.items, func(i item) bool { return i.kind == isStale })
		b.oldest, b.count[isStale] = 0, 0
	}
}

// take empties the inbox. It returns what waited, in order of arrival, and how
// many messages were dropped. The items are the caller's until it calls recycle.
func (b *inbox) take() (items []item, lost int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	items, lost = b.items, b.lost
	b.items, b.spare = b.spare, nil
	b.count, b.oldest, b.lost = [kinds]int{}, 0, 0
	return items, lost
}

// recycle gives back the items of take.
func (b *inbox) recycle(done []item) {
	clear(done)
	b.mu.Lock()
	b.spare = done[:0]
	b.mu.Unlock()
}

// close refuses everything from now on and drops what waits.
func (b *inbox) close() {
	b.mu.Lock()
	b.closed, b.items = true, nil
	b.mu.Unlock()
}
