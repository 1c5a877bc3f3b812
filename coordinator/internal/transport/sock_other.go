//go:build !linux

package transport

import (
	"net"
	"time"
)

// tuneConn does nothing: the system's own patience decides.
func tuneConn(net.Conn) {}

// ackState knows nothing here: a connection is replaced when it breaks.
func ackState(net.Conn) (acked uint64, waiting bool, rtt time.Duration, ok bool) {
	return 0, false, 0, false
}

// lost knows nothing here either.
func lost(net.Conn) bool { return false }
