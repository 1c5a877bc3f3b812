package hostaddr

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/arc-ring/arc/internal/durations"
)

// Table tells which addresses are this machine's own, of interfaces that are
// up and of those that are not. The zero value is ready for use.
type Table struct {
	// mu is never held while the kernel is asked: it keeps everybody waiting who asks for
	// interfaces while it changes one, which can take long, and a transport that waited
	// with it would send nothing.
	mu   sync.Mutex
	read time.Time
	// begun counts the looks at the interfaces, and kept is the newest whose outcome own is.
	begun, kept uint64
	// own are the addresses, each with the prefix of its network. cards are the
	// interfaces that have them, nil until somebody asks.
	own   map[netip.Addr]netip.Prefix
	cards map[netip.Addr]string
	// watched: the kernel says when own changes; good: the last look at the
	// interfaces worked.
	watched, good bool
	// list replaces net.InterfaceAddrs unless it is nil.
	list func() ([]net.Addr, error)
}

// Has reports whether the machine has the address now. While a Watch runs that
// gets notices, it looks at nothing: a redial of a member that has just died
// would spend on it what the election needs. Else it looks at the interfaces at
// most once a second.
func (t *Table) Has(a netip.Addr) bool {
	if a.Unmap().IsLoopback() {
		return true
	}
	_, own := t.find(a)
	return own
}

// Network returns the interface on which the machine has the address, and the network
// there, as ADDRESS/BITS. Of what is not known, the address stands for both.
func (t *Table) Network(a netip.Addr) (card, network string) {
	p, own := t.find(a)
	if !own {
		return a.String(), a.String()
	}
	t.mu.Lock()
	known, kept := t.cards, t.kept
	t.mu.Unlock()
	if known == nil {
		known = cards()
		t.mu.Lock()
		if t.kept == kept {
			t.cards = known
		}
		t.mu.Unlock()
	}
	return cmp.Or(known[bare(a)], a.String()), p.Masked().String()
}

// cards returns which interface has each address.
func cards() map[netip.Addr]string {
	all := map[netip.Addr]string{}
	ifaces, _ := Interfaces() // without it, the addresses stand for them
	for _, i := range ifaces {
		for _, p := range i.Addresses {
			all[bare(p.Addr())] = i.Name
		}
	}
	return all
}

// bare is an address as the table keeps it.
func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (t *Table) find(a netip.Addr) (p netip.Prefix, own bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.own == nil || !(t.watched && t.good) && time.Since(t.read) >= durations.AddressesFresh {
		t.mu.Unlock()
		t.look()
		t.mu.Lock()
	}
	p, own = t.own[bare(a)]
	return p, own
}

// Forget makes the next Has look at the interfaces.
func (t *Table) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.own = nil
}

// refresh looks at the interfaces now. watched is what holds from then on.
func (t *Table) refresh(watched bool) {
	t.look()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched = watched
}

// look asks the kernel. Of several looks at once the one that began last counts.
func (t *Table) look() {
	t.mu.Lock()
	t.begun++
	look := t.begun
	t.read = time.Now()
	t.mu.Unlock()
	list, err := t.addresses()
	t.mu.Lock()
	defer t.mu.Unlock()
	if look < t.kept {
		return
	}
	t.kept, t.good = look, err == nil
	if err != nil && t.own != nil {
		return // what was known is the best guess
	}
	t.own, t.cards = map[netip.Addr]netip.Prefix{}, nil
	for _, p := range prefixes(list) {
		t.own[bare(p.Addr())] = p
	}
}

func (t *Table) addresses() ([]net.Addr, error) {
	if t.list != nil {
		return t.list()
	}
	return net.InterfaceAddrs()
}

func prefixes(addrs []net.Addr) (all []netip.Prefix) {
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// Interface is a network interface with its addresses.
type Interface struct {
	net.Interface
	Addresses []netip.Prefix
}

// Is reports whether the interface has the flag.
func (i Interface) Is(flag net.Flags) bool { return i.Flags&flag != 0 }

// Interfaces lists this machine's interfaces.
func Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var out []Interface
	for _, i := range all {
		if addrs, err := i.Addrs(); err == nil { // else it went away meanwhile
			out = append(out, Interface{i, prefixes(addrs)})
		}
	}
	return out, nil
}

// Reachable lists the addresses at which other machines may reach this one:
// the global unicast ones of the interfaces that are up. It is empty while the
// machine has none.
func Reachable(only4 bool) ([]netip.Addr, error) {
	ifaces, err := Interfaces()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, i := range ifaces {
		for _, p := range i.Addresses {
			if a := p.Addr(); i.Is(net.FlagUp) && a.IsGlobalUnicast() && !a.IsLoopback() && (a.Is4() || !only4) {
				out = append(out, a)
			}
		}
	}
	return out, nil
}

// LimitedBroadcast is the address of everybody in one's own network.
var LimitedBroadcast = netip.MustParseAddr("255.255.255.255")

// BroadcastOf returns the broadcast address of an IPv4 network, or the limited one
// if the network is too small to have any.
func BroadcastOf(p netip.Prefix) netip.Addr {
	if p.Bits() >= 31 {
		return LimitedBroadcast
	}
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// Broadcast returns the broadcast addresses of the networks that this machine has
// an address in.
func Broadcast() (map[netip.Addr]bool, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the machine's addresses: %w", err)
	}
	out := map[netip.Addr]bool{}
	for _, p := range prefixes(list) {
		if p.Addr().Is4() {
			out[BroadcastOf(p)] = true
		}
	}
	return out, nil
}
