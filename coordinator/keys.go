package coordinator

import (
	"errors"
	"net"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/limits"
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

// helloKeys says at the start whom this node believes.
func (n *node) helloKeys() {
	switch {
	case n.trust != nil:
		n.log.Info("connections are mutual TLS 1.3", "identity", n.trust.Self(), "secrets", n.trust.Secrets())
	case n.o.Insecure:
		n.log.Warn("--insecure: no secret is used; everybody who reaches this port can read and change the ring", "bind", joinAddrs(n.o.Bind), "port", n.o.Port)
	default:
		n.log.Info("no secret is used; only this machine's programs reach this node, and over TCP they can only look")
	}
}

// keysRead is told when the keys are others, or cannot be read.
func (n *node) keysRead(changed bool, err error) {
	if err != nil {
		n.log.Error("the keys cannot be read again, the old ones stay", "error", err)
		return
	}
	if changed {
		n.log.Info("the keys have changed", "secrets", n.trust.Secrets())
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
