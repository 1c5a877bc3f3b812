package loop

import (
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

// inbox is where everybody leaves what the event loop has to handle. No method
// blocks for longer than a copy of a few words takes, so a stream's goroutine
// is never held up by a busy loop.
type inbox struct {
	mu       sync.Mutex
	pings    []election.Ping
	messages []election.Message // a ring buffer once it is full
	head     int
	inputs   []input
	dropped  uint64
	closed   bool

	// wake has room for one token: the loop is due.
	wake chan struct{}
	// spare are the slices that the loop has finished with.
	sparePings    []election.Ping
	spareMessages []election.Message
	spareInputs   []input
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// deliver leaves a peer's message.
func (b *inbox) deliver(m election.Message) {
	b.mu.Lock()
	switch {
	case b.closed:
	case len(b.messages) < messagesKept:
		b.messages = append(b.messages, m)
	default:
		b.messages[b.head] = m
		b.head = (b.head + 1) % messagesKept
		b.dropped++
	}
	b.mu.Unlock()
	b.ring()
}

// pinged leaves a watcher's ping. One that is not taken must not be answered.
func (b *inbox) pinged(p election.Ping) (taken bool) {
	b.mu.Lock()
	if taken = !b.closed && len(b.pings) < pingsKept; taken {
		b.pings = append(b.pings, p)
	}
	b.mu.Unlock()
	b.ring()
	return taken
}

// post leaves an input. It is refused with ErrOverload while too many wait and
// with ErrStopping once the loop has ended.
func (b *inbox) post(in input) error { return b.put(in, inputsKept) }

// must leaves an input that only answers something which the loop itself
// asked for, so that their number is bounded by what is under way. It is
// dropped when the loop has ended.
func (b *inbox) must(in input) { _ = b.put(in, int(^uint(0)>>1)) }

func (b *inbox) put(in input, room int) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return reason.ErrStopping
	}
	if len(b.inputs) >= room {
		b.mu.Unlock()
		return reason.ErrOverload
	}
	b.inputs = append(b.inputs, in)
	b.mu.Unlock()
	b.ring()
	return nil
}

func (b *inbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox: oldest first. The slices are the caller's until the
// next call of recycle.
func (b *inbox) take() (pings []election.Ping, messages []election.Message, inputs []input, dropped uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pings, messages, inputs, dropped = b.pings, b.messages, b.inputs, b.dropped
	if b.head > 0 {
		messages = append(append(make([]election.Message, 0, len(b.messages)), b.messages[b.head:]...), b.messages[:b.head]...)
		b.head = 0
	}
	b.pings, b.messages, b.inputs, b.dropped = b.sparePings[:0], b.spareMessages[:0], b.spareInputs[:0], 0
	b.sparePings, b.spareMessages, b.spareInputs = nil, nil, nil
	return pings, messages, inputs, dropped
}

// recycle gives the slices of take back.
func (b *inbox) recycle(pings []election.Ping, messages []election.Message, inputs []input) {
	clear(messages)
	clear(inputs)
	b.mu.Lock()
	b.sparePings, b.spareMessages, b.spareInputs = pings[:0], messages[:0], inputs[:0]
	b.mu.Unlock()
}

// close refuses everything from now on and drops what waits.
func (b *inbox) close() {
	b.mu.Lock()
	b.closed, b.pings, b.messages, b.inputs = true, nil, nil, nil
	b.mu.Unlock()
}
