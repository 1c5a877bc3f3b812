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

// tcp is the state of a connection as its kernel tells it.
type tcp struct {
	// acked is how much the peer's kernel acknowledged, and handed over how much was
	// given to this one, in bytes.
	acked, handed uint64
	// waiting: something is not acknowledged.
	waiting bool
	// rtt is the smoothed round trip.
	rtt time.Duration
	// segment is the most that one segment carries, in bytes.
	segment int
	// sent counts the segments with data, and again those of them that were sent before
	// and had not arrived.
	sent, again uint64
}

// look tells the state of a connection; false if it is none of TCP or is closed.
func look(c net.Conn) (s tcp, ok bool) {
	raw, isTCP := socket(c)
	if !isTCP {
		return tcp{}, false
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
		ok = info.State == unix.BPF_TCP_ESTABLISHED
		s = tcpOf(info)
	})
	return s, ok
}

func tcpOf(info unix.TCPInfo) tcp {
	return tcp{
		acked: info.Bytes_acked, handed: info.Bytes_sent - info.Bytes_retrans + uint64(info.Notsent_bytes), waiting: info.Unacked > 0,
		rtt: time.Duration(info.Rtt) * time.Microsecond, segment: int(info.Snd_mss),
		// After a moment of delay the kernel repeats what is on its way, and the peer's
		// says that it had that already: no network lost it.
		sent: uint64(info.Data_segs_out), again: uint64(info.Total_retrans - min(info.Dsack_dups, info.Total_retrans)),
	}
}

// lost says whether the connection itself is gone, and not only a stream on it.
func lost(c net.Conn) bool {
	_, isTCP := socket(c)
	_, known := look(c)
	return isTCP && !known
}
