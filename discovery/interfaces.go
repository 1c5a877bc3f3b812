package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/arc-ring/arc/internal/hostaddr"
)

// group is where IPv6 hellos go: a transient group of link-local scope ("ARC1"
// in its last four bytes), since no group is assigned to us.
var group = netip.MustParseAddr("ff12::4152:4331")

// outlet is one way out: a broadcast address, or the IPv6 group, on one
// interface.
type outlet struct {
	name  string
	index int
	to    netip.Addr
	// from is the source address.
	from netip.Addr
}

func (o outlet) String() string { return o.name + "/" + o.to.WithZone("").String() }

// everywhere: any address of the machine is meant.
func (o *Options) everywhere() bool {
	return len(o.Bind) == 0 || slices.ContainsFunc(o.Bind, netip.Addr.IsUnspecified)
}

// loopbackOnly: nothing may leave this machine.
func (o *Options) loopbackOnly() bool {
	return !o.everywhere() && !slices.ContainsFunc(o.Bind, func(a netip.Addr) bool { return !a.IsLoopback() })
}

// missing refuses a name that no interface has.
func missing(names []string, all []hostaddr.Interface) error {
	var have []string
	for _, c := range all {
		have = append(have, c.Name)
	}
	for _, name := range names {
		if !slices.Contains(have, name) {
			return fmt.Errorf("%w: no interface %q on this machine, which has %s", ErrOptions, name, strings.Join(have, ", "))
		}
	}
	return nil
}

// CheckInterfaces refuses a named interface that the machine has not; the error
// wraps ErrOptions. New does that too, but after its caller has opened what
// Options need.
func CheckInterfaces(names []string) error {
	all, err := hostaddr.Interfaces()
	if err != nil {
		return err
	}
	return missing(names, all)
}

// outlets returns the ways out that are up and allowed, in the interfaces' order.
// Loopback is one if an address of it is bound or the interface is named, or if
// any address will do and there is no other.
func (o *Options) outlets(all []hostaddr.Interface) []outlet {
	var out, loopback []outlet
	for _, c := range all {
		named := slices.Contains(o.Interfaces, c.Name)
		local := outlet{name: c.Name, index: c.Index, to: loopbackBroadcast, from: loopbackAddress}
		switch {
		case !c.Is(net.FlagUp) || len(o.Interfaces) > 0 && !named:
		case !c.Is(net.FlagLoopback):
			if !o.loopbackOnly() {
				out = append(out, o.outletsOf(c)...)
			}
		case named || slices.ContainsFunc(o.Bind, netip.Addr.IsLoopback):
			out = append(out, local)
		case o.everywhere():
			loopback = append(loopback, local)
		}
	}
	if len(out) == 0 {
		return loopback
	}
	return out
}

// IPv6 has no multicast on loopback: hellos go by 127.255.255.255 also where ::1
// is bound.
var (
	loopbackAddress   = netip.MustParseAddr("127.0.0.1")
	loopbackBroadcast = netip.MustParseAddr("127.255.255.255")
)

func (o *Options) outletsOf(c hostaddr.Interface) []outlet {
	var out []outlet
	var v6 bool
	var from6 netip.Addr // of link-local scope if there is one, as the group is
	for _, p := range c.Addresses {
		if a := p.Addr(); a.Is6() && (!from6.IsValid() || a.IsLinkLocalUnicast() && !from6.IsLinkLocalUnicast()) {
			from6 = a
		}
		if !o.everywhere() && !slices.ContainsFunc(o.Bind, func(b netip.Addr) bool { return b.Unmap().WithZone("") == p.Addr() }) {
			continue
		}
		if !p.Addr().Is4() {
			v6 = true
			continue
		}
		if !c.Is(net.FlagBroadcast) {
			continue
		}
		way := outlet{name: c.Name, index: c.Index, to: hostaddr.BroadcastOf(p), from: p.Addr()}
		if !slices.ContainsFunc(out, func(other outlet) bool { return other.to == way.to }) {
			out = append(out, way)
		}
	}
	if v6 && c.Is(net.FlagMulticast) {
		out = append(out, outlet{name: c.Name, index: c.Index, to: group.WithZone(c.Name), from: from6})
	}
	return out
}
