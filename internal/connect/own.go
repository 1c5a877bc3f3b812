package connect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// ErrOwn: the address is this node's own, so it would answer itself.
var ErrOwn = errors.New("the address is this node's own")

// Net dials the address once, until ctx ends. It returns ErrOwn for an address of
// the own node; Reason tells what other errors mean.
func (d *Dialer) Net(ctx context.Context, addr string) (net.Conn, error) {
	if d.Own == nil {
		return d.net(ctx, addr)
	}
	own := d.Own()
	ownPort := func(port uint16) bool {
		return slices.ContainsFunc(own, func(a string) bool {
			ap, err := netip.ParseAddrPort(a)
			return err == nil && ap.Port() == port
		})
	}
	if ap, err := netip.ParseAddrPort(addr); err == nil && ownPort(ap.Port()) && d.leadsHere(ap.Addr(), addr, own) {
		return nil, fmt.Errorf("dial %s: %w", addr, ErrOwn)
	}
	conn, err := d.net(ctx, addr)
	if err != nil {
		return nil, err
	}
	// What is dialled by name, or has just become an own address, is seen here:
	// a machine speaks with itself from the very address that it dials.
	to, okTo := conn.RemoteAddr().(*net.TCPAddr)
	from, okFrom := conn.LocalAddr().(*net.TCPAddr)
	if okTo && okFrom && to.IP.Equal(from.IP) && ownPort(uint16(to.Port)) {
		_ = conn.Close()
		d.Local.Forget()
		return nil, fmt.Errorf("dial %s: %w", addr, ErrOwn)
	}
	return conn, nil
}

// leadsHere reports whether an address at an own port is the own node's. A
// machine has 2^24 loopback addresses, and a node at each of them may have the
// same port: there only an address that this node listens at is its own.
func (d *Dialer) leadsHere(a netip.Addr, addr string, own []string) bool {
	if a.Unmap().IsLoopback() {
		return slices.Contains(own, addr)
	}
	return d.Local.Has(a)
}

// OnThisMachine reports whether the address is one of this machine's.
func (d *Dialer) OnThisMachine(addr string) bool {
	ap, err := netip.ParseAddrPort(addr)
	return err == nil && d.Local.Has(ap.Addr())
}
