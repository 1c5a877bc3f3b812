package service

import (
	"time"

	"google.golang.org/grpc/mem"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
)

// What a stranger sends costs this node more than the stranger, above all frames of
// HTTP/2 that belong to no call and count nowhere. So it is read in small pieces, at a
// bearable pace. What is not read waits in the kernel, and then at the stranger's.
// A handshake is bounded by package trust: it may be a member's.

// Read is net.Conn's.
func (g *guest) Read(p []byte) (int, error) {
	return g.Conn.Read(p[:g.piece(len(p))])
}

// ReadOnReady is sockio.Conn's.
func (g *guest) ReadOnReady(size int, pool mem.BufferPool) (buf *[]byte, n int, err error) {
	return g.Conn.ReadOnReady(g.piece(size), pool)
}

// piece waits until the guest may be read from, and returns how much of size bytes.
func (g *guest) piece(size int) int {
	if !g.paced.Load() {
		return size
	}
	for !g.d.mayRead(g) {
		time.Sleep(durations.ReadAgain)
	}
	return min(size, limits.Piece)
}

// mayRead reports whether the guest may be read from now. One that is known by now, or
// has left, is not held up.
func (d *door) mayRead(g *guest) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.as != stranger || g.left {
		g.paced.Store(false)
		return true
	}
	return d.pace.reads.allow(time.Now(), g.host, d.originOf(g.host))
}
