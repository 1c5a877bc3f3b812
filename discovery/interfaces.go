package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// group is where IPv6 hellos go: a transient group of link-local scope ("ARC1"
// in its last four bytes), since no group is assigned to us.
var group = netip.MustParseAddr("ff12::4152:4331")

var limitedBroadcast = netip.MustParseAddr("255.255.255.255")

// outlet is one way out: a broadcast address, or the IPv6 group, on one
// interface.
type outlet struct {
	name  string
	index int
	to    netip.Addr
	// from is the source address; invalid leaves the choice to the kernel.
	from netip.Addr
}

func (o outlet) String() string { return o.name + "/" + o.to.WithZone("").String() }

// card is a network interface with its addresses, as outlets needs it.
type card struct {
	name                               string
	index                              int
	up, loopback, broadcast, multicast bool
	addresses                          []netip.Prefix
}

// cards lists this machine's interfaces.
func cards() ([]card, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var out []card
	for _, i := range all {
		c := card{
			name: i.Name, index: i.Index, up: i.Flags&net.FlagUp != 0, loopback: i.Flags&net.FlagLoopback != 0,
			broadcast: i.Flags&net.FlagBroadcast != 0, multicast: i.Flags&net.FlagMulticast != 0,
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // It went away meanwhile.
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				ip, _ := netip.AddrFromSlice(n.IP)
				ones, _ := n.Mask.Size()
				c.addresses = append(c.addresses, netip.PrefixFrom(ip.Unmap(), ones))
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// scope is what Options.Bind and Options.Interfaces allow.
type scope struct {
	bind  []netip.Addr
	names []string
}

// everywhere: any address of the machine is meant.
func (s scope) everywhere() bool {
	return len(s.bind) == 0 || slices.ContainsFunc(s.bind, netip.Addr.IsUnspecified)
}

// loopbackOnly: nothing may leave this machine.
func (s scope) loopbackOnly() bool {
	return !s.everywhere() && !slices.ContainsFunc(s.bind, func(a netip.Addr) bool { return !a.Unmap().IsLoopback() })
}

// check says whether all the named interfaces exist.
func (s scope) check(all []card) error {
	var have []string
	for _, c := range all {
		have = append(have, c.name)
	}
	for _, name := range s.names {
		if !slices.Contains(have, name) {
			return fmt.Errorf("%w: no interface %q on this machine, which has %s", ErrOptions, name, strings.Join(have, ", "))
		}
	}
	return nil
}

// CheckInterfaces says whether the machine has all the named interfaces; the
// error wraps ErrOptions. New finds that too, but after its caller has opened
// what Options need.
func CheckInterfaces(names []string) error {
	all, err := cards()
	if err != nil {
		return err
	}
	return scope{names: names}.check(all)
}

// outlets returns the ways out that are up and allowed, in the cards' order.
// Loopback is one if an address of it is bound or the interface is named, or if
// any address will do and there is no other.
func (s scope) outlets(all []card) []outlet {
	var out, loopback []outlet
	for _, c := range all {
		if !c.up || len(s.names) > 0 && !slices.Contains(s.names, c.name) {
			continue
		}
		if c.loopback {
			if s.bindsLoopback() || slices.Contains(s.names, c.name) {
				out = append(out, loopbackOutlet(c))
			} else if s.everywhere() {
				loopback = append(loopback, loopbackOutlet(c))
			}
			continue
		}
		if s.loopbackOnly() {
			continue
		}
		out = append(out, s.outletsOf(c)...)
	}
	if len(out) == 0 {
		return loopback
	}
	return out
}

// bindsLoopback holds for ::1 too: IPv6 has no multicast on loopback, so its
// hellos go by 127.255.255.255 as well.
func (s scope) bindsLoopback() bool {
	return slices.ContainsFunc(s.bind, func(a netip.Addr) bool { return a.Unmap().IsLoopback() })
}

var (
	loopbackAddress   = netip.MustParseAddr("127.0.0.1")
	loopbackBroadcast = netip.MustParseAddr("127.255.255.255")
)

func loopbackOutlet(c card) outlet {
	return outlet{name: c.name, index: c.index, to: loopbackBroadcast, from: loopbackAddress}
}

func (s scope) outletsOf(c card) []outlet {
	var out []outlet
	v6 := false
	for _, p := range c.addresses {
		if !s.everywhere() && !slices.ContainsFunc(s.bind, func(b netip.Addr) bool { return b.Unmap().WithZone("") == p.Addr() }) {
			continue
		}
		if !p.Addr().Is4() {
			v6 = true
			continue
		}
		if !c.broadcast {
			continue
		}
		o := outlet{name: c.name, index: c.index, to: broadcastOf(p), from: p.Addr()}
		if !slices.ContainsFunc(out, func(other outlet) bool { return other.to == o.to }) {
			out = append(out, o)
		}
	}
	if v6 && c.multicast {
		out = append(out, outlet{name: c.name, index: c.index, to: group.WithZone(c.name)})
	}
	return out
}

// broadcastOf returns the subnet's broadcast address, or the limited one if
// the subnet is too small to have any.
func broadcastOf(p netip.Prefix) netip.Addr {
	if p.Bits() >= 31 {
		return limitedBroadcast
	}
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
