package netlab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddBridge gives the host a bridge of its own with an address, as container
// engines make one: the same address on every host, and no way from one to the
// other. A bridge that is not up has no container yet.
func (h *Host) AddBridge(name string, prefix netip.Prefix, up bool) {
	h.lab.t.Helper()
	h.mustBeOn()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	err := h.links.LinkAdd(bridge)
	if err == nil {
		err = h.links.AddrAdd(bridge, addrOf(prefix))
	}
	if err == nil && up {
		err = h.links.LinkSetUp(bridge)
	}
	if err != nil {
		h.lab.t.Fatalf("netlab: add the bridge %s to %s: %v", name, h, err)
	}
}

// AddAddress gives the host another address on network k, and tells all hosts
// so, as a gratuitous ARP does.
func (h *Host) AddAddress(k int, a netip.Addr) {
	h.lab.t.Helper()
	h.changeAddress(k, a, "add", h.links.AddrAdd)
	h.lab.forgetNeighbour(a)
}

// RemoveAddress takes an address on network k away from the host.
func (h *Host) RemoveAddress(k int, a netip.Addr) {
	h.lab.t.Helper()
	h.changeAddress(k, a, "remove", h.links.AddrDel)
}

func (h *Host) changeAddress(k int, a netip.Addr, verb string, change func(netlink.Link, *netlink.Addr) error) {
	h.lab.t.Helper()
	h.mustBeOn()
	eth, err := h.links.LinkByName(fmt.Sprintf("eth%d", k))
	if err == nil {
		bits := 24
		if a.Is6() {
			bits = 64
		}
		err = change(eth, addrOf(netip.PrefixFrom(a, bits)))
	}
	if err != nil {
		h.lab.t.Fatalf("netlab: %s %s on network %d of %s: %v", verb, a, k, h, err)
	}
}

// SetInterfaces sets all of the host's interfaces but the loopback up or down.
func (h *Host) SetInterfaces(up bool) {
	h.lab.t.Helper()
	h.mustBeOn()
	links, err := h.links.LinkList()
	for _, link := range links {
		if err != nil || link.Attrs().Name == "lo" {
			continue
		}
		set := h.links.LinkSetDown
		if up {
			set = h.links.LinkSetUp
		}
		err = set(link)
	}
	if err != nil {
		h.lab.t.Fatalf("netlab: set the interfaces of %s: %v", h, err)
	}
}

// SetInterface sets the host's interface on network k up or down.
func (h *Host) SetInterface(k int, up bool) {
	h.lab.t.Helper()
	h.mustBeOn()
	eth, err := h.links.LinkByName(fmt.Sprintf("eth%d", k))
	set := h.links.LinkSetDown
	if up {
		set = h.links.LinkSetUp
	}
	if err == nil {
		err = set(eth)
	}
	if err != nil {
		h.lab.t.Fatalf("netlab: set network %d of %s: %v", k, h, err)
	}
}

func addrOf(p netip.Prefix) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
}

// forgetNeighbour lets every host ask again who has an address.
func (l *Lab) forgetNeighbour(a netip.Addr) {
	l.t.Helper()
	for _, h := range l.hosts {
		if !h.On() {
			continue
		}
		for _, c := range h.cables {
			err := h.links.NeighDel(&netlink.Neigh{LinkIndex: c.hostEnd, IP: a.AsSlice()})
			if err != nil && !errors.Is(err, unix.ENOENT) {
				l.t.Fatalf("netlab: forget the neighbour %s on %s: %v", a, h, err)
			}
		}
	}
}
