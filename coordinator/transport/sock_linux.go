package transport

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// tuneConn makes the kernel give the connection up when what was sent is not
// acknowledged in time.
func tuneConn(c net.Conn) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return // closed already: the first use says so
	}
	// A kernel without this option only notices later.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ackTimeout/time.Millisecond))
	})
}

// ackState tells how much the peer's kernel acknowledged, whether something
// is still unacknowledged, and the smoothed round trip; false if unknown.
func ackState(c net.Conn) (acked uint64, waiting bool, rtt time.Duration, ok bool) {
	tcp, isTCP := c.(*net.TCPConn)
	if !isTCP {
		return 0, false, 0, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, false, 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		// One that is closed has thrown away what it was waiting for.
		acked, waiting, ok = info.Bytes_acked, info.Unacked > 0, info.State == unix.BPF_TCP_ESTABLISHED
		rtt = time.Duration(info.Rtt) * time.Microsecond
	})
	return acked, waiting, rtt, ok
}

// lost says whether the connection itself is gone, and not only a stream on it.
func lost(c net.Conn) bool {
	if _, isTCP := c.(*net.TCPConn); !isTCP {
		return false
	}
	_, _, _, ok := ackState(c)
	return !ok
}
