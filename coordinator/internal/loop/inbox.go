package loop

import (
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
	isMessage kind = iota
	isPing
	isInput
)

// batch is what was in the inbox. The items of each kind are in order of arrival,
// and order has the kinds as they came in.
type batch struct {
	order    []kind
	messages []election.Message
	pings    []election.Ping
	inputs   []input
	// lost counts the messages that were dropped, stale those of them that order
	// still has: its first ones.
	lost, stale int
}

// each calls one function for each item, in order of arrival.
func (b *batch) each(message func(election.Message), ping func(election.Ping), in func(input)) {
	stale, m, p, i := b.stale, 0, 0, 0
	for _, k := range b.order {
		switch {
		case k == isMessage && stale > 0:
			stale--
		case k == isMessage:
			message(b.messages[m])
			m++
		case k == isPing:
			ping(b.pings[p])
			p++
		default:
			in(b.inputs[i])
			i++
		}
	}
}

// compact removes the stale kinds.
func (b *batch) compact() {
	b.order = slices.DeleteFunc(b.order, func(k kind) bool {
		if k != isMessage || b.stale == 0 {
			return false
		}
		b.stale--
		return true
	})
}

// empty gives the room of a batch back, for the next one.
func (b *batch) empty() batch {
	clear(b.messages)
	clear(b.inputs)
	return batch{order: b.order[:0], messages: b.messages[:0], pings: b.pings[:0], inputs: b.inputs[:0]}
}

// inbox is where everybody leaves what the event loop has to handle, in order of
// arrival. No method blocks for longer than a copy of a few words takes, so a
// stream's goroutine is never held up by a busy loop.
type inbox struct {
	mu     sync.Mutex
	b      batch
	head   int // of b.messages, a ring buffer once it is full
	closed bool
	// spare is a batch that the loop has finished with.
	spare batch

	// wake has room for one token: the loop is due.
	wake chan struct{}
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// deliver leaves a peer's message.
func (b *inbox) deliver(m election.Message) {
	b.mu.Lock()
	switch {
	case b.closed:
	case len(b.b.messages) < messagesKept:
		b.b.messages = append(b.b.messages, m)
		b.b.order = append(b.b.order, isMessage)
	default:
		b.b.messages[b.head] = m
		b.head = (b.head + 1) % messagesKept
		b.b.order = append(b.b.order, isMessage)
		b.b.lost++
		if b.b.stale++; b.b.stale == messagesKept {
			b.b.compact()
		}
	}
	b.mu.Unlock()
	b.notify()
}

// pinged leaves a watcher's ping. One that is not taken must not be answered.
func (b *inbox) pinged(p election.Ping) (taken bool) {
	b.mu.Lock()
	if taken = !b.closed && len(b.b.pings) < pingsKept; taken {
		b.b.pings = append(b.b.pings, p)
		b.b.order = append(b.b.order, isPing)
	}
	b.mu.Unlock()
	b.notify()
	return taken
}

// post leaves an input. It is refused with ErrOverload while too many wait and
// with ErrStopping once the loop has ended.
func (b *inbox) post(in input) error { return b.put(in, inputsKept) }

// postUnbounded leaves an input that only answers something which the loop itself
// asked for, so that their number is bounded by what is under way. It is
// dropped when the loop has ended.
func (b *inbox) postUnbounded(in input) { _ = b.put(in, int(^uint(0)>>1)) }

func (b *inbox) put(in input, room int) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return reason.ErrStopping
	}
	if len(b.b.inputs) >= room {
		b.mu.Unlock()
		return reason.ErrOverload
	}
	b.b.inputs = append(b.b.inputs, in)
	b.b.order = append(b.b.order, isInput)
	b.mu.Unlock()
	b.notify()
	return nil
}

func (b *inbox) notify() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox. The batch is the caller's until it calls recycle.
func (b *inbox) take() batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.b
	if b.head > 0 {
		all.messages = append(append(make([]election.Message, 0, len(all.messages)), all.messages[b.head:]...), all.messages[:b.head]...)
		b.head = 0
	}
	b.b, b.spare = b.spare, batch{}
	return all
}

// recycle gives a batch of take back.
func (b *inbox) recycle(done batch) {
	done = done.empty()
	b.mu.Lock()
	b.spare = done
	b.mu.Unlock()
}

// close refuses everything from now on and drops what waits.
func (b *inbox) close() {
	b.mu.Lock()
	b.closed, b.b = true, batch{}
	b.mu.Unlock()
}
