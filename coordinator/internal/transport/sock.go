package transport

import (
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/durations"
)

// socket gives access to the socket of a TCP connection, false for another one.
func socket(c net.Conn) (syscall.RawConn, bool) {
	s, ok := c.(syscall.Conn)
	if !ok || c.LocalAddr().Network() != "tcp" {
		return nil, false
	}
	raw, err := s.SyscallConn()
	return raw, err == nil // else it is closed already: the first use says so
}

// tuneConn makes the kernel give the connection up when what was sent is not
// acknowledged in time.
func tuneConn(c net.Conn) {
	raw, ok := socket(c)
	if !ok {
		return
	}
	// A kernel without this option only notices later.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(durations.PeerAck/time.Millisecond))
	})
}

// ackState tells how much the peer's kernel acknowledged, whether something
// is still unacknowledged, and the smoothed round trip; false if unknown.
func ackState(c net.Conn) (acked uint64, waiting bool, rtt time.Duration, ok bool) {
	raw, isTCP := socket(c)
	if !isTCP {
		return 0, false, 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		// Raw, since it never blocks: see internal/sockio.
		var info unix.TCPInfo
		size := uint32(unsafe.Sizeof(info))
		if _, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.IPPROTO_TCP, unix.TCP_INFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
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
	_, isTCP := socket(c)
	_, _, _, known := ackState(c)
	return isTCP && !known
}
