package discovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/rate"
)

// sockets are the four of a service, two for each family. The shared ones hear
// hellos at the port that all coordinators of the host share; a broadcast
// reaches each of them. The own ones, at a port that nobody shares, send hellos
// and hear the answers, which are unicast: at a shared port the kernel would
// hand each to only one of the sockets. Answers leave from the shared port, so
// that a firewall has a port to go by.
type sockets struct {
	shared4, own4 *net.UDPConn
	shared6, own6 *net.UDPConn   // nil without IPv6
	conns         []*net.UDPConn // of these, the shared one of a family before its own one

	// allowed are the interfaces that hellos are taken from; joined those on
	// which shared6 is in the group.
	allowed atomic.Pointer[map[int]bool]
	joined  map[int]bool
}

// openSockets opens what the options need; without IPv6 on the machine it does
// without.
func openSockets(o *Options) (*sockets, error) {
	k := &sockets{joined: map[int]bool{}}
	k.allowed.Store(&map[int]bool{})
	local, heard := "", ""
	if o.loopbackOnly() {
		// Bound to loopback, the kernel itself keeps all else away.
		local, heard = loopbackAddress.String(), loopbackBroadcast.String()
	}
	var err error
	if k.shared4, err = k.open("udp4", heard, o.Port); err != nil {
		return nil, fmt.Errorf("listen for hellos at UDP port %d: %w; is another program using it? choose another with --discovery-port, or go without by --no-autodiscovery --join HOST:PORT", o.Port, err)
	}
	if k.own4, err = k.open("udp4", local, 0); err != nil {
		k.close()
		return nil, fmt.Errorf("open a UDP socket to send hellos: %w", err)
	}
	if err := ipv4.NewPacketConn(k.shared4).SetControlMessage(ipv4.FlagInterface, true); err != nil {
		k.close()
		return nil, fmt.Errorf("learn the interface of a hello: %w", err)
	}
	if o.loopbackOnly() {
		return k, nil
	}
	if err := k.open6(o.Port); err != nil {
		for _, c := range k.conns[2:] {
			c.Close()
		}
		k.conns, k.shared6, k.own6 = k.conns[:2], nil, nil
	}
	return k, nil
}

func (k *sockets) open6(port int) error {
	var err error
	if k.shared6, err = k.open("udp6", "", port); err != nil {
		return err
	}
	if k.own6, err = k.open("udp6", "", 0); err != nil {
		return err
	}
	own := ipv6.NewPacketConn(k.own6)
	return errors.Join(
		ipv6.NewPacketConn(k.shared6).SetControlMessage(ipv6.FlagInterface, true),
		own.SetMulticastLoopback(true),
		own.SetMulticastHopLimit(1),
	)
}

// open adds a socket. One at a port that is not 0 shares that.
func (k *sockets) open(network, host string, port int) (*net.UDPConn, error) {
	cfg := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
			if port != 0 {
				err = errors.Join(err,
					unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
					unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
			}
		}); e != nil {
			return e
		}
		return err
	}}
	c, err := cfg.ListenPacket(context.Background(), network, net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	udp := c.(*net.UDPConn)
	k.conns = append(k.conns, udp)
	return udp, nil
}

// use takes in the present ways out: whom to listen to, and where to be in the
// group. One goroutine at a time may call it.
func (k *sockets) use(outlets []outlet) error {
	allowed, multicast := map[int]bool{}, map[int]bool{}
	var problems []error
	for _, o := range outlets {
		allowed[o.index] = true
		if o.to.Is4() || k.shared6 == nil {
			continue
		}
		multicast[o.index] = true
		if k.joined[o.index] {
			continue
		}
		err := ipv6.NewPacketConn(k.shared6).JoinGroup(&net.Interface{Index: o.index, Name: o.name}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(group, 0)))
		if err != nil && !errors.Is(err, unix.EADDRINUSE) {
			problems = append(problems, fmt.Errorf("join %s on %s: %w", group, o.name, err))
			continue
		}
		k.joined[o.index] = true
	}
	// An interface that is gone or down has lost its membership: should it come
	// back, it is joined again.
	maps.DeleteFunc(k.joined, func(index int, _ bool) bool { return !multicast[index] })
	k.allowed.Store(&allowed)
	return errors.Join(problems...)
}

// send broadcasts a hello at one way out.
func (k *sockets) send(b []byte, o outlet, port int) error {
	conn, way := k.own6, (&ipv6.ControlMessage{IfIndex: o.index, Src: o.from.AsSlice()}).Marshal()
	if o.to.Is4() {
		conn, way = k.own4, (&ipv4.ControlMessage{IfIndex: o.index, Src: o.from.AsSlice()}).Marshal()
	}
	if conn == nil {
		return nil
	}
	_, _, err := conn.WriteMsgUDPAddrPort(b, way, netip.AddrPortFrom(o.to, uint16(port)))
	return err
}

// source is what hellos by this way out come from.
func (k *sockets) source(o outlet) netip.AddrPort {
	conn := k.own6
	if o.to.Is4() {
		conn = k.own4
	}
	if conn == nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(o.from, conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
}

// reply sends an answer to the socket that a hello came from.
func (k *sockets) reply(b []byte, to netip.AddrPort) error {
	conn := k.shared6
	if to.Addr().Is4() {
		conn = k.shared4
	}
	if conn == nil {
		return nil
	}
	_, err := conn.WriteToUDPAddrPort(b, to)
	return err
}

// receive calls handle with each datagram that is let in, from as many
// goroutines as there are sockets, until close; it returns when all have ended.
// The bytes are handle's only during the call.
func (k *sockets) receive(handle func(b []byte, from netip.AddrPort, shared bool)) {
	var readers sync.WaitGroup
	for i, c := range k.conns {
		shared := i%2 == 0
		readers.Go(func() {
			buf, oob := make([]byte, limits.Datagram+1), make([]byte, 128)
			pace := rate.Batches{Most: limits.DatagramsAtOnce, Each: durations.DatagramsPause}
			for {
				n, more, _, from, err := c.ReadMsgUDPAddrPort(buf, oob)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err != nil {
					// An error of an earlier send (unreachable), or one that
					// stays: do not spin on it.
					time.Sleep(durations.ReadPause)
					continue
				}
				if !shared || (*k.allowed.Load())[interfaceOf(oob[:more])] {
					handle(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), shared)
				}
				if pause := pace.Pause(time.Now()); pause > 0 {
					time.Sleep(pause) // the kernel drops what is too much
				}
			}
		})
	}
	readers.Wait()
}

// interfaceOf returns the index of the interface that a datagram came in by, which
// the kernel tells beside it; 0 if it does not.
func interfaceOf(oob []byte) int {
	var v4 ipv4.ControlMessage
	var v6 ipv6.ControlMessage
	// What cannot be parsed leaves 0, which is no interface.
	_ = errors.Join(v4.Parse(oob), v6.Parse(oob))
	return max(v4.IfIndex, v6.IfIndex)
}

func (k *sockets) close() {
	for _, c := range k.conns {
		c.Close()
	}
}
