package transport

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/peerwire"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// helloTo is what self says to a member first.
func helloTo(self Identity, to uint64) *peerv1.PeerHello {
	h := &peerv1.PeerHello{
		Cluster: self.Cluster, RingId: self.RingID, Id: self.ID, Incarnation: self.Incarnation, Name: peerwire.Text(self.Name), To: to,
	}
	for _, a := range self.Addresses {
		if len(h.Addresses) < limits.Addresses && foreign.CheckAddress(a) == nil {
			h.Addresses = append(h.Addresses, a)
		}
	}
	return h
}

// meet checks a hello. While this node does not know its own id it waits a
// little: a joiner's peers may hear of its join before itself.
func (t *Transport) meet(stream peerv1.PeerService_StreamServer, hello *peerv1.PeerHello) (Identity, error) {
	if err := t.opts.SpeaksFor(stream.Context(), hello.GetId(), hello.GetName()); err != nil {
		t.logRefusal(stream, hello, err)
		return Identity{}, status.Error(codes.PermissionDenied, err.Error())
	}
	late := time.After(durations.HelloHold)
	for {
		t.mu.Lock()
		changed := t.selfChanged
		t.mu.Unlock()
		self := t.opts.Self()
		if err := checkClientHello(hello, self); err != nil {
			// Who is evicted has to hear it, even if it asks for somebody's
			// old id.
			if self.ID != 0 && hello.GetCluster() == self.Cluster && hello.GetRingId() == self.RingID && hello.GetId() != self.ID && t.opts.Gone(hello.GetId()) {
				return self, nil
			}
			t.logRefusal(stream, hello, err)
			return self, err
		}
		if self.ID != 0 {
			return self, nil
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return self, stream.Context().Err()
		case <-t.closing.Done():
			return self, endClosing
		case <-late:
			return self, status.Errorf(codes.Unavailable, "%s has not joined yet", self.Name)
		}
	}
}

// checkClientHello refuses whom we cannot talk to, as far as we know.
func checkClientHello(h *peerv1.PeerHello, self Identity) error {
	switch err := checkHello(h); {
	case err != nil:
		return status.Errorf(codes.InvalidArgument, "malformed hello of member %d: %v", h.GetId(), err)
	case h.GetCluster() != self.Cluster:
		return status.Errorf(codes.FailedPrecondition, "this is a coordinator of cluster %q, not %s", self.Cluster, foreign.Quote(h.GetCluster()))
	case self.RingID != "" && h.GetRingId() != self.RingID:
		return status.Errorf(codes.FailedPrecondition, "this is a member of ring %s, not %s", self.RingID, foreign.Quote(h.GetRingId()))
	case self.ID == 0:
		return nil // undecided
	case h.GetId() == self.ID:
		return status.Errorf(codes.FailedPrecondition, "member %d is this node (%s) itself; is its address advertised by another, or its data directory a copy?", self.ID, self.Name)
	case h.GetTo() != 0 && h.GetTo() != self.ID:
		return status.Errorf(codes.FailedPrecondition, "this is member %d (%s), not %d", self.ID, self.Name, h.GetTo())
	}
	return nil
}

// checkHello is the rule for a hello's own fields. A name may be missing: some
// senders of notices know none.
func checkHello(h *peerv1.PeerHello) error {
	var errs []error
	if h.GetId() == 0 {
		errs = append(errs, errors.New("no id"))
	}
	for what, s := range map[string]string{"cluster": h.GetCluster(), "ring": h.GetRingId(), "name": h.GetName()} {
		if s != "" {
			errs = append(errs, foreign.CheckName(what, s))
		}
	}
	return errors.Join(append(errs, foreign.CheckAddresses(h.GetAddresses()))...)
}

// checkServerHello makes sure that the right one answered.
func checkServerHello(h *peerv1.PeerHello, self Identity, id uint64) error {
	switch {
	case h == nil:
		return fmt.Errorf("%w: the answer to a hello is no hello", peerwire.ErrMalformed)
	case checkHello(h) != nil:
		return fmt.Errorf("%w: the answer to a hello: %w", peerwire.ErrMalformed, checkHello(h))
	case h.GetCluster() != self.Cluster || h.GetRingId() != self.RingID:
		return status.Errorf(codes.FailedPrecondition, "answered by cluster %s, ring %s, instead of %q, %s", foreign.Quote(h.GetCluster()), foreign.Quote(h.GetRingId()), self.Cluster, self.RingID)
	case h.GetId() != id:
		return status.Errorf(codes.FailedPrecondition, "answered by member %d (%s) instead of %d", h.GetId(), foreign.Quote(h.GetName()), id)
	}
	return nil
}

// logRefusal is loud once for each peer and reason.
func (t *Transport) logRefusal(stream peerv1.PeerService_StreamServer, h *peerv1.PeerHello, err error) {
	key := fmt.Sprintf("%d: %v", h.GetId(), err)
	t.mu.Lock()
	known := t.refused[key]
	if !known && len(t.refused) >= 256 {
		clear(t.refused)
	}
	t.refused[key] = true
	t.mu.Unlock()
	log := t.log.Warn
	if known {
		log = t.log.Debug
	}
	address := "unknown"
	if p, ok := grpcpeer.FromContext(stream.Context()); ok {
		address = p.Addr.String()
	}
	log("peer stream refused", "peer", foreign.Brief(h.GetName()), "from", h.GetId(), "address", address, "error", err)
}
