package coordinator

import (
	"context"
	"fmt"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// peerService is what other coordinators call, and other machines' monitors
// when they bring a certificate.
type peerService struct {
	arcv1.UnimplementedPeerServer
	n *node
}

func (s peerService) Stream(stream arcv1.Peer_StreamServer) error {
	return s.n.transport.ServeStream(stream)
}

func (s peerService) Certify(_ context.Context, r *arcv1.CertifyRequest) (*arcv1.CertifyResponse, error) {
	l, v := s.n.loop.Load(), s.n.hub.views.load()
	switch {
	case l == nil:
		return nil, ErrNotJoined
	case r.GetCluster() != s.n.o.Cluster || r.GetRingId() != v.ringID:
		return nil, fmt.Errorf("%w: certificate for ring %q of cluster %q, this is ring %q of cluster %q", ErrOtherRing, r.GetRingId(), r.GetCluster(), v.ringID, s.n.o.Cluster)
	case r.GetCertificate().GetId() == 0 || r.GetCertificate().GetIncarnation() == 0:
		return nil, fmt.Errorf("%w: certificate without a member's id and incarnation", ring.ErrInvalid)
	case r.GetCertificate().GetIncarnation() == s.n.incarnation:
		return nil, fmt.Errorf("%w: certificate for this very process, which runs", ring.ErrInvalid)
	}
	if err := l.certify(certificateFromWire(r.GetCertificate())); err != nil {
		return nil, err
	}
	return &arcv1.CertifyResponse{}, nil
}

func (s peerService) AcceptFounder(_ context.Context, r *arcv1.AcceptFounderRequest) (*arcv1.AcceptFounderResponse, error) {
	return s.n.acceptFounder(r)
}

// probeService answers pings.
type probeService struct {
	arcv1.UnimplementedProbeServer
	n *node
}

// Probe answers from the published view, so that a probe costs no turn of the
// event loop. But a coordinator whose loop hangs is as dead as one that is
// stopped: while a turn lasts longer than silence on the leader's link is
// tolerated, no pong leaves.
func (s probeService) Probe(stream arcv1.Probe_ProbeServer) error {
	for {
		ping, err := stream.Recv()
		if err != nil {
			return err
		}
		v := s.n.hub.views.load()
		if l := s.n.loop.Load(); l != nil && v.ring.RingID != "" && l.stuck() > v.ring.Settings.Detection(true) {
			continue
		}
		pong := &arcv1.Pong{Seq: ping.GetSeq(), Name: s.n.o.Name, Id: v.id, Incarnation: s.n.incarnation, Term: v.ring.Term}
		if err := stream.Send(pong); err != nil {
			return err
		}
	}
}
