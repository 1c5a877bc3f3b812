package service

import (
	"context"
	"fmt"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/membership"
	"github.com/arc-ring/arc/internal/peerwire"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

// Stream is what other coordinators call.
func (s *Servers) Stream(stream peerv1.PeerService_StreamServer) error {
	return s.o.ServeStream(stream)
}

// Certify is what other machines' monitors call when they bring a certificate.
func (s *Servers) Certify(ctx context.Context, r *peerv1.CertifyRequest) (*peerv1.CertifyResponse, error) {
	l, v := s.o.Loop(), s.o.Hub.Load()
	c, err := peerwire.DecodeCertificate(r.GetCertificate())
	switch {
	case l == nil:
		return nil, reason.ErrNotJoined
	case r.GetCluster() != s.o.Cluster || r.GetRingId() != v.RingID:
		return nil, fmt.Errorf("%w: certificate for ring %s of cluster %s, this is ring %q of cluster %q", membership.ErrOtherRing, foreign.Quote(r.GetRingId()), foreign.Quote(r.GetCluster()), v.RingID, s.o.Cluster)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ring.ErrInvalid, err)
	case c.Incarnation == s.o.Incarnation:
		return nil, fmt.Errorf("%w: certificate for this very process, which runs", ring.ErrInvalid)
	}
	// A monitor certifies its own coordinator alone.
	if err := s.SpeaksFor(ctx, c.ID, c.Name); err != nil {
		return nil, err
	}
	if s.o.Certified != nil {
		s.o.Certified(c)
	}
	if err := l.Certify(c); err != nil {
		return nil, err
	}
	return &peerv1.CertifyResponse{Id: v.ID}, nil
}

// AcceptFounder is what a founder's coordinator calls.
func (s *Servers) AcceptFounder(ctx context.Context, r *peerv1.AcceptFounderRequest) (*peerv1.AcceptFounderResponse, error) {
	if err := speaksFor(ctx, r.GetFounder()); err != nil {
		return nil, err
	}
	return s.o.AcceptFounder(r)
}

// Standing answers for the event loop: what the core knows, and not what the
// rest of this node has made of it by now.
func (s *Servers) Standing(ctx context.Context, r *peerv1.StandingRequest) (*peerv1.StandingResponse, error) {
	l, v := s.o.Loop(), s.o.Hub.Load()
	resp := &peerv1.StandingResponse{Cluster: s.o.Cluster, Self: s.o.Name, Realtime: s.o.Realtime}
	if l == nil || v.Ring.RingID == "" {
		return resp, nil
	}
	resp.RingId, resp.SelfId = v.RingID, v.ID
	if r.GetCluster() != s.o.Cluster || r.GetRingId() != v.RingID {
		return resp, nil
	}
	st, err := l.Standing(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	standingToWire(st, resp)
	resp.Members = publish.MembersToWire(s.o.Hub.Load())
	return resp, nil
}

func standingToWire(s election.Standing, r *peerv1.StandingResponse) {
	r.Epoch, r.Member, r.Out, r.Needed, r.InTouch, r.Voters = s.Epoch, s.Member, s.Out, s.Needed, s.InTouch, s.Voters
	r.LeaderId, r.LeaderIncarnation, r.LeaderAddresses = s.Leader, s.LeaderIncarnation, s.LeaderAddresses
	r.Incarnation, r.Addresses = s.Incarnation, s.Addresses
}

// Probe answers from the published view, so that a probe costs no turn of the
// event loop. But a coordinator whose loop hangs is as dead as one that is
// stopped: while a turn lasts longer than silence on the leader's link is
// tolerated, no pong leaves.
//
// The watcher's grant that rides on a ping is handed to the event loop, and the
// pong does not wait for it: the grant counts only once the next ping acks this
// pong, from a moment before this pong left. It is handed over before the pong
// leaves, since the same ping may come by several paths, whose pongs all bear the
// same number: no pong may be older than the time that the loop notes for it,
// which is the first one's. A grant on a stream that is meant for somebody else
// is not taken: an address may lead to another ring's leader. Neither is one in the
// name of a member whose certificate the stream does not show, on any ping.
func (s *Servers) Probe(stream peerv1.ProbeService_ProbeServer) error {
	// One of each for the whole stream: what is sent is encoded before Send
	// returns.
	ping, pong := &peerv1.ProbeRequest{}, &peerv1.ProbeResponse{Incarnation: s.o.Incarnation, Name: s.o.Name, Cluster: s.o.Cluster}
	var ringID, toldRing string // that the stream is meant for; that was told
	var to uint64
	for {
		if err := stream.RecvMsg(ping); err != nil {
			return err
		}
		if ping.GetTo() != 0 {
			ringID, to = ping.GetRingId(), ping.GetTo()
		}
		v := s.o.Hub.Load()
		meant := to == 0 || to == v.ID && ringID == v.RingID
		if _, member := v.Ring.Member(ping.GetFromId()); member && ping.GetTo() != 0 && meant && s.SpeaksFor(stream.Context(), ping.GetFromId(), "") == nil {
			s.door.recognise(stream.Context()) // its monitor probes on this connection
		}
		if l := s.o.Loop(); l != nil && v.Ring.RingID != "" {
			if l.Stuck() > v.Ring.Settings.Detection(true) {
				continue
			}
			p, ok := peerwire.DecodePing(ping, s.o.Clock())
			if ok && meant && s.SpeaksFor(stream.Context(), p.From, "") == nil && !l.Pinged(p) {
				continue
			}
		}
		pong.Seq, pong.Id, pong.Term, pong.RingId = ping.GetSeq(), v.ID, v.Ring.Term, ""
		if v.ID != 0 && v.RingID != toldRing {
			pong.RingId, toldRing = v.RingID, v.RingID
		}
		if err := stream.Send(pong); err != nil {
			return err
		}
		pong.Name, pong.Cluster = "", "" // told
	}
}
