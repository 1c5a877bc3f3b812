package coordinator

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/peerwire"
	"github.com/arc-ring/arc/internal/trust"
)

// openKeys reads this node's keys, if it has any.
func (n *node) openKeys() (err error) {
	if n.o.Keys == (trust.Files{}) {
		return nil
	}
	n.trust, err = trust.Open(n.o.Keys, trust.Identity{Cluster: n.o.Cluster, Role: trust.Member, Name: n.o.Name})
	if err != nil {
		return reason.Usagef("%w", err)
	}
	n.trust.Refused = (&refusals{log: n.log, known: map[refusedHost]bool{}}).told
	n.dialer.Credentials = n.trust.Credentials()
	return nil
}

// seals are those of discovery; nil in the clear.
func (n *node) seals() func() trust.Seals {
	if n.trust == nil {
		return nil
	}
	return n.trust.Seals
}

// heardFrom is discovery's Heard; nil where hellos prove nothing.
func (n *node) heardFrom() func(netip.Addr) bool {
	if n.discovery == nil || n.seals() == nil {
		return nil
	}
	return n.discovery.Heard
}

func (n *node) proofs() peerwire.Proofs { return peerwire.Proofs{Trust: n.trust, Cluster: n.o.Cluster} }

// signOwn signs what this node says for itself and voters may pass on.
func (n *node) signOwn(m *election.Message) {
	if n.trust == nil || m.Release == nil && (m.Opinion == nil || m.Opinion.Grant() == 0) {
		return
	}
	id := n.identity.Load()
	if m.Release != nil && m.Release.ID != id.ID || m.Opinion != nil && m.Opinion.By != id.ID {
		return // passed on
	}
	if err := n.proofs().Sign(id.RingID, m); err != nil {
		n.log.Error("a message is not signed, so nobody can pass it on", "error", err)
	}
}

// believePassed says why a message that a member passes on is not believed.
func (n *node) believePassed(m election.Message) (err error) {
	if m.Certificate != nil {
		if n.believed.has(*m.Certificate) {
			return nil
		}
		defer func() {
			if err == nil {
				n.believed.add(*m.Certificate)
			}
		}()
	}
	return n.proofs().Check(n.identity.Load().RingID, m, func(id uint64) string {
		member, _ := n.hub.Load().Ring.Member(id)
		return member.Name
	})
}

// believed are the newest certificates that are believed. Each voter gets one from the
// dead member's monitor and from others, in the midst of a failover, and checking it
// takes longer than anything else there.
type believed struct {
	mu     sync.Mutex
	newest [4]election.Certificate
	next   int
}

func (b *believed) has(c election.Certificate) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.newest[:], c)
}

func (b *believed) add(c election.Certificate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.newest[:], c) {
		b.newest[b.next] = c
		b.next = (b.next + 1) % len(b.newest)
	}
}

// security is how the network is kept safe, in the word of `arc status`.
func (n *node) security() string {
	switch {
	case n.o.Keys != (trust.Files{}):
		return "tls"
	case n.o.Insecure:
		return "insecure"
	}
	return "loopback"
}

// helloKeys says at the start whom this node believes.
func (n *node) helloKeys() {
	switch {
	case n.trust != nil:
		n.log.Info("connections are mutual TLS 1.3", "identity", n.trust.Self(), "secrets", n.trust.Secrets())
	case n.o.Insecure:
		n.log.Warn("--insecure: no secret is used; everybody who reaches this port can read and change the ring", "bind", joinAddrs(n.o.Bind), "port", n.o.Port)
		if n.o.UnusedSecret != "" {
			n.log.Warn("--insecure: a secret file is here and not used; start without --insecure to use it, or move it away", "file", n.o.UnusedSecret)
		}
	default:
		n.log.Info("no secret is used; only this machine's programs reach this node, and over TCP they can only look")
	}
}

// refusals says which connections were not let in: the first of each host loudly, if
// it came to speak.
type refusals struct {
	log hclog.Logger
	mu  sync.Mutex
	// known are the hosts that were told of, and whether it was for speaking in the
	// clear.
	known map[refusedHost]bool
}

type refusedHost struct {
	host  string
	clear bool
}

func (r *refusals) told(from net.Addr, err error) {
	log := r.log.Debug
	inClear := errors.Is(err, trust.ErrClear)
	if host, _, herr := net.SplitHostPort(from.String()); herr == nil && (inClear || errors.Is(err, trust.ErrCertificate)) {
		key := refusedHost{host, inClear}
		r.mu.Lock()
		if !r.known[key] {
			log = r.log.Warn
			if len(r.known) >= limits.Refusals {
				clear(r.known)
			}
			r.known[key] = true
		}
		r.mu.Unlock()
	}
	log("a connection was refused", "address", from.String(), "error", err)
}
