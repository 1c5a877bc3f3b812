package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/internal/durations"
)

// connections are those that a Holder's handshakes made, and who vouched for each.
type connections struct {
	mu   sync.Mutex
	open map[*connection]struct{}
}

type connection struct {
	net.Conn
	h *Holder
	// own is the certificate that this end showed, root the other end's authority.
	own, root *x509.Certificate
	// until is the end of a client's certificate. It is zero for a member: no ring
	// depends on clocks that are set.
	until time.Time
	// dead: nothing more is read.
	dead atomic.Bool
}

// add notes a connection. If its authority was dropped in the midst of the
// handshake it is closed.
func (h *Holder) add(conn net.Conn, own, root *x509.Certificate, until time.Time) net.Conn {
	c := &h.conns
	n := &connection{Conn: conn, h: h, own: own, root: root, until: until}
	c.mu.Lock()
	if c.open == nil {
		c.open = map[*connection]struct{}{}
	}
	c.open[n] = struct{}{}
	c.mu.Unlock()
	if k := h.keys.Load(); h.self.Cluster != "" && !k.believes(root) {
		_ = n.Close()
	}
	return n
}

// Read is net.Conn's. A server's refusal comes after the client's handshake.
func (n *connection) Read(p []byte) (int, error) {
	k, err := n.Conn.Read(p)
	if err != nil {
		n.dead.Store(!errors.Is(err, os.ErrDeadlineExceeded))
		err = n.h.explain(err, n.own)
	}
	return k, err
}

// Close is net.Conn's. One that is dead is told nothing: when a process dies, all others
// lose their connections to it at the same moment, and have better things to do.
func (n *connection) Close() error {
	n.h.conns.mu.Lock()
	delete(n.h.conns.open, n)
	n.h.conns.mu.Unlock()
	if c, ok := n.Conn.(*tls.Conn); ok && n.dead.Load() {
		return c.NetConn().Close()
	}
	return n.Conn.Close()
}

func (k *keys) believes(root *x509.Certificate) bool {
	for _, a := range k.authorities {
		if a.Equal(root) {
			return true
		}
	}
	return false
}

// disowned are the connections whose authority is no longer believed, or whose
// client's certificate has ended.
func (h *Holder) disowned(now time.Time) []*connection {
	k := h.keys.Load()
	h.conns.mu.Lock()
	defer h.conns.mu.Unlock()
	var out []*connection
	for n := range h.conns.open {
		if !k.believes(n.root) || !n.until.IsZero() && now.After(n.until) {
			out = append(out, n)
		}
	}
	return out
}

// LogTo returns what Watch can be given: it logs that the keys have changed, cannot be
// read, or end soon.
func (h *Holder) LogTo(log hclog.Logger) func(changed bool, err error) {
	return func(_ bool, err error) {
		if errors.Is(err, errEnds) {
			log.Warn("connections are refused once this node's certificate has ended", "error", err)
		} else if err != nil {
			log.Error("the keys cannot be read again, the old ones stay", "error", err)
		} else {
			log.Info("the keys have changed", "secrets", h.Secrets())
		}
	}
}

// Watch reads the files again every durations.TrustLook, and whenever a token comes
// from now, until ctx ends. It calls told when they changed, and when they cannot be
// read or an operator's certificate is about to end, once for each error's text. It
// closes the connections of authorities that were dropped and of clients whose
// certificates have ended, with a pause after each one, so that a ring never misses more
// than one stream at a time. Only where there are very many the pause is short.
func (h *Holder) Watch(ctx context.Context, now <-chan struct{}, told func(changed bool, err error)) {
	look := time.NewTicker(durations.TrustLook)
	defer look.Stop()
	complaint := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case <-now:
		}
		changed, err := h.Reload()
		if err == nil {
			err = h.ends(time.Now())
		}
		switch {
		case err != nil && err.Error() != complaint:
			complaint = err.Error()
			told(false, err)
		case err == nil:
			complaint = ""
		}
		if changed {
			told(true, nil)
		}
		disowned := h.disowned(time.Now())
		for _, n := range disowned {
			_ = n.Close() // its stream ends, and is opened again with a new certificate
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(durations.TrustCut, durations.TrustCutAll/time.Duration(len(disowned)))):
			}
		}
	}
}
