package netlab_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/arc-ring/arc/internal/netlab"
)

const patience = 10 * time.Second

// echoServer answers every TCP line on all of the host's addresses, until the
// test ends.
func echoServer(t *testing.T, h *netlab.Host) {
	t.Helper()
	var l net.Listener
	must(t, h.Do(func() (err error) { l, err = net.Listen("tcp", ":7"); return err }))
	served := make(chan struct{})
	go func() {
		defer close(served)
		var conns []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				for _, c := range conns {
					c.Close()
				}
				return
			}
			conns = append(conns, c)
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	t.Cleanup(func() { l.Close(); <-served })
}

// line is one TCP connection between hosts over which lines go to and fro.
type line struct {
	t      *testing.T
	conn   net.Conn
	reader *bufio.Reader
}

func dial(t *testing.T, from *netlab.Host, to netip.Addr, limit time.Duration) (*line, error) {
	t.Helper()
	var c net.Conn
	err := from.Do(func() (err error) {
		c, err = net.DialTimeout("tcp", netip.AddrPortFrom(to, 7).String(), limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	return &line{t: t, conn: c, reader: bufio.NewReader(c)}, nil
}

func mustDial(t *testing.T, from *netlab.Host, to netip.Addr) *line {
	t.Helper()
	l, err := dial(t, from, to, patience)
	must(t, err)
	return l
}

func (l *line) say(word string) {
	l.t.Helper()
	_, err := l.conn.Write([]byte(word + "\n"))
	must(l.t, err)
}

// hears reports whether the word comes back within limit.
func (l *line) hears(word string, limit time.Duration) bool {
	l.t.Helper()
	must(l.t, l.conn.SetReadDeadline(time.Now().Add(limit)))
	got, err := l.reader.ReadString('\n')
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		if got != "" {
			l.t.Fatalf("half a line: %q", got)
		}
		return false
	}
	must(l.t, err)
	if got != word+"\n" {
		l.t.Fatalf("said %q, heard %q", word, got)
	}
	return true
}

// mailbox receives datagrams on a host.
type mailbox struct {
	t    *testing.T
	conn *net.UDPConn
}

func openMailbox(t *testing.T, h *netlab.Host) *mailbox {
	t.Helper()
	var c *net.UDPConn
	must(t, h.Do(func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{Port: 9})
		return err
	}))
	t.Cleanup(func() { c.Close() })
	return &mailbox{t: t, conn: c}
}

// send sends one datagram from here.
func (m *mailbox) send(to netip.Addr, word string) {
	m.t.Helper()
	_, err := m.conn.WriteToUDPAddrPort([]byte(word), netip.AddrPortFrom(to, 9))
	must(m.t, err)
}

// next returns the next datagram, or "" if none comes within limit.
func (m *mailbox) next(limit time.Duration) string {
	m.t.Helper()
	buffer := make([]byte, 100)
	must(m.t, m.conn.SetReadDeadline(time.Now().Add(limit)))
	n, err := m.conn.Read(buffer)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return ""
	}
	must(m.t, err)
	return string(buffer[:n])
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
