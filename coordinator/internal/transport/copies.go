package transport

import (
	"sync"

	"github.com/arc-ring/arc/internal/paths"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// copies are the messages of one process that have come.
type copies struct {
	// of is the process's incarnation.
	of uint64

	mu   sync.Mutex
	came paths.Copies
}

// once calls do unless a message of the number came before. Of two streams, one waits
// while the other delivers, so that what one of them carries keeps its order.
func (c *copies) once(number uint64, do func()) {
	if number == 0 {
		do() // nobody counts it
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.came.Take(number) {
		do()
	}
}

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
