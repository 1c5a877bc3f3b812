package coordinator

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/loop"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/connect"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/hostaddr"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/membership"
	discoveryv1 "github.com/arc-ring/arc/proto/arc/discovery/v1"
)

// place is where this node is reached, as it tells others: HOST:PORT. It is
// empty while the machine has no address.
type place struct {
	mu    sync.Mutex
	rules membership.Place
	// changed is closed and replaced when the addresses change.
	changed chan struct{}
}

// reachedAt is where others are told to dial this node. The caller may keep it.
func (n *node) reachedAt() []string {
	n.place.mu.Lock()
	defer n.place.mu.Unlock()
	return n.place.rules.Told
}

// listensAt is where this node listens, and what it tells others.
func (n *node) listensAt() []string {
	at := slices.Clone(n.reachedAt())
	if n.listeners != nil {
		for _, l := range n.listeners.tcp {
			at = append(at, l.Addr().String())
		}
	}
	return at
}

// advertised is what others are told to dial: the bound addresses, and for an
// unspecified one every address of the machine that others may reach.
func advertised(bind []netip.Addr, port int) (out []string, err error) {
	for _, b := range bind {
		all := []netip.Addr{b}
		if b.IsUnspecified() {
			if all, err = hostaddr.Reachable(b.Is4()); err != nil {
				return nil, err
			}
		}
		for _, a := range all {
			s := netip.AddrPortFrom(a.Unmap(), uint16(port)).String()
			if !slices.Contains(out, s) && len(out) < limits.Addresses {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

// followAddresses tells everybody when this node's addresses change, until ctx
// ends.
func (n *node) followAddresses(ctx context.Context) {
	notices := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { n.local.Watch(ctx, n.log, func() { connect.Notify(notices) }) })
	later := time.NewTimer(0) // something may have changed since the start
	defer later.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-notices:
		case <-later.C:
		}
		if again := n.lookAtAddresses(n.clock()); again > 0 {
			later.Reset(again)
		}
	}
}

// lookAtAddresses reads the interfaces and tells what has changed. It returns
// when to look again, 0 if at the next notice.
func (n *node) lookAtAddresses(now election.Instant) time.Duration {
	present, err := advertised(n.o.Bind, n.listeners.port)
	if err != nil {
		n.log.Warn("the machine's addresses cannot be read", "error", err)
		return durations.AddressesAgain
	}
	p := &n.place
	p.mu.Lock()
	was := p.rules.Told
	present = append(present, dormant(was, present, n.local.Has)...)
	changed, redial, again := p.rules.Look(now, present)
	if changed {
		close(p.changed)
		p.changed = make(chan struct{})
	}
	p.mu.Unlock()
	if changed {
		n.moved(was, present)
	}
	if redial {
		n.transport.NetworkChanged()
	}
	return again
}

// dormant returns what of the told addresses is not among the present ones and is
// still this machine's: its interface is down. It is not gone, only of no use for now,
// and the ring has other paths.
func dormant(told, present []string, has func(netip.Addr) bool) (out []string) {
	for _, s := range told {
		a, err := netip.ParseAddrPort(s)
		if err == nil && !slices.Contains(present, s) && has(a.Addr()) {
			out = append(out, s)
		}
	}
	return out
}

// moved tells everybody where this node is reached now.
func (n *node) moved(from, to []string) {
	n.log.Info("the addresses of this node changed", "from", from, "to", to)
	if n.discovery != nil {
		n.discovery.SetAddresses(to)
	}
	toLoop(n, (*loop.Loop).Readdress)(to)
}

// awaitAddress waits until this node has an address that others can be told.
func (n *node) awaitAddress(ctx context.Context) error {
	for {
		n.place.mu.Lock()
		some, changed := len(n.place.rules.Told) > 0, n.place.changed
		n.place.mu.Unlock()
		if some {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// announceWhileApart says hello while a stream to another member is missing:
// it may have moved, or not know that this node did. A member that has just died
// is evicted sooner: a hello of each survivor would only delay the failover.
func (n *node) announceWhileApart(ctx context.Context) {
	for connect.Wait(ctx, durations.ApartHello) {
		if n.loop.Load() != nil && n.transport.Apart(durations.ApartHello) {
			n.discovery.Announce()
		}
	}
}

// fellowHeard takes a hello of a node that says that it belongs to this node's
// ring: it is dialled where the hello says, and believed only there.
func (n *node) fellowHeard(f *discoveryv1.Node) {
	if m, ok := n.hub.Load().Ring.MemberByName(f.Name); ok {
		n.transport.Hint(m.ID, f.Addresses)
	}
}
