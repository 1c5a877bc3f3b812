package transport

import (
	"sync"

	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// copiesKept is how far back numbers are remembered. The numbers of a process count
// what it sends to all peers together.
const copiesKept = 1 << 14

// copies remembers which messages of one process have come: it sends them over several
// paths, and once more if a stream broke.
type copies struct {
	// of is the process's incarnation.
	of uint64

	mu     sync.Mutex
	newest uint64
	came   [copiesKept / 64]uint64
}

// once calls do unless a message of the number came before. One that is so old that
// it is not remembered counts as one that came. Of two streams, one waits while the
// other delivers, so that what one of them carries keeps its order. A message without
// a number is none that is counted.
func (c *copies) once(number uint64, do func()) {
	if number == 0 {
		do()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.take(number) {
		do()
	}
}

// take reports whether the number is new, and notes it.
func (c *copies) take(number uint64) bool {
	switch {
	case number > c.newest+copiesKept, c.newest == 0:
		clear(c.came[:])
		c.newest = number
	case number > c.newest:
		for n := c.newest + 1; n < number; n++ {
			*c.word(n) &^= bit(n)
		}
		c.newest = number
	case c.newest-number >= copiesKept, *c.word(number)&bit(number) != 0:
		return false
	}
	*c.word(number) |= bit(number)
	return true
}

func (c *copies) word(n uint64) *uint64 { return &c.came[n/64%uint64(len(c.came))] }

func bit(n uint64) uint64 { return 1 << (n % 64) }

// copiesLocked returns what is remembered of the process: by its other streams, or by
// the peer if they have ended.
func (t *Transport) copiesLocked(hello *peerv1.PeerHello) *copies {
	p := t.peers[hello.GetId()]
	c := &copies{of: hello.GetIncarnation()}
	if p != nil && p.copies != nil && p.copies.of == c.of {
		c = p.copies
	}
	for _, in := range t.inbound[hello.GetId()] {
		if in.copies.of == c.of {
			c = in.copies
		}
	}
	if p != nil {
		p.copies = c
	}
	return c
}
