package peerwire

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

// Encode turns a message into its wire form. The envelope shares no memory
// with the message. It fails for a message without a body, with more than one,
// or above limits.Envelope.
func Encode(m election.Message) (*peerv1.StreamRequest, error) {
	bodies := 0
	for _, set := range []bool{m.Raft != nil, m.Renew != nil, m.RenewAck != nil, m.Opinion != nil, m.Certificate != nil, m.Release != nil, m.Evicted != nil,
		m.Return != nil, m.Check != nil, m.Takeover != nil, m.Unwatched != nil, m.Inspect != nil} {
		if set {
			bodies++
		}
	}
	if bodies != 1 {
		return nil, fmt.Errorf("encode message from %d to %d with %d bodies, want 1: %w", m.From, m.To, bodies, ErrMalformed)
	}
	env := &peerv1.StreamRequest{}
	switch {
	case m.Raft != nil:
		size := proto.Size(m.Raft)
		if size > limits.Envelope-64 {
			return nil, fmt.Errorf("encode %s of %d bytes, more than %d: %w", m.Raft.GetType(), size, limits.Envelope-64, ErrTooLarge)
		}
		b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(make([]byte, 0, size), m.Raft)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", m.Raft.GetType(), err)
		}
		env.Body = &peerv1.StreamRequest_Raft{Raft: b}
	case m.Renew != nil:
		return renewEnvelope(m.Renew), nil
	case m.RenewAck != nil:
		return renewAckEnvelope(m.RenewAck), nil
	case m.Opinion != nil:
		env.Body = &peerv1.StreamRequest_Opinion{Opinion: EncodeOpinion(*m.Opinion)}
	case m.Certificate != nil:
		c := m.Certificate
		env.Body = &peerv1.StreamRequest_Certificate{Certificate: &peerv1.Certificate{
			Name: Text(c.Name), Id: c.ID, Incarnation: c.Incarnation, Exit: Text(c.Exit), Clean: c.Clean, Proof: tellProof(c.Proof),
		}}
	case m.Release != nil:
		env.Body = &peerv1.StreamRequest_Release{Release: encodeRelease(m.Release)}
	case m.Evicted != nil:
		env.Body = &peerv1.StreamRequest_Evicted{Evicted: encodeEvicted(*m.Evicted)}
	case m.Return != nil:
		r := m.Return
		env.Body = &peerv1.StreamRequest_Return{Return: &peerv1.Return{
			Id: r.ID, Incarnation: r.Incarnation, Addresses: slices.Clone(r.Addresses), Version: Text(r.Version), LogVersion: r.LogVersion,
			Former: slices.Clone(r.Former), LastIndex: r.Last, Term: r.Term, Ask: r.Ask,
		}}
	case m.Check != nil:
		env.Body = &peerv1.StreamRequest_Check{Check: &peerv1.Check{Answer: m.Check.Answer, Term: m.Check.Term}}
	case m.Takeover != nil:
		t := m.Takeover
		env.Body = &peerv1.StreamRequest_Takeover{Takeover: &peerv1.Takeover{
			Term: t.Term, Answer: t.Answer, Able: t.Able, Reached: uint32(t.Reached), Stuck: t.Stuck, Lapsed: t.Lapsed, // #nosec G115 -- a count of voters
		}}
	case m.Unwatched != nil:
		env.Body = &peerv1.StreamRequest_Unwatched{Unwatched: &peerv1.Unwatched{}}
	case m.Inspect != nil:
		env.Body = &peerv1.StreamRequest_Inspect{Inspect: &peerv1.Inspect{Id: m.Inspect.ID, Incarnation: m.Inspect.Incarnation}}
	}
	return env, nil
}

// renewEnvelope and renewAckEnvelope make an envelope in one piece: no other
// message is sent nearly as often.
func renewEnvelope(r *election.Renew) *peerv1.StreamRequest {
	var all struct {
		env   peerv1.StreamRequest
		body  peerv1.StreamRequest_Renew
		renew peerv1.Renew
	}
	all.env.Body, all.body.Renew = &all.body, &all.renew
	w := &all.renew
	w.Term, w.Seq, w.LeaseUs, w.Incarnation = r.Term, r.Seq, uint64(r.Lease/time.Microsecond), r.Incarnation
	w.Watcher, w.Grant, w.Claims, w.Acked = r.Watcher, r.Grant, r.Claims, r.Acked
	return &all.env
}

func renewAckEnvelope(r *election.RenewAck) *peerv1.StreamRequest {
	var all struct {
		env  peerv1.StreamRequest
		body peerv1.StreamRequest_RenewAck
		ack  peerv1.RenewAck
	}
	all.env.Body, all.body.RenewAck = &all.body, &all.ack
	all.ack.Term, all.ack.Seq, all.ack.LeaseUs = r.Term, r.Seq, uint64(r.Lease/time.Microsecond)
	return &all.env
}

// Text makes a text one that the other side takes: another one would end the
// whole stream.
func Text(s string) string { return foreign.Cut(foreign.Text(s), limits.Text) }

// EncodeOpinion makes the wire form of what a monitor says.
func EncodeOpinion(o ring.Opinion) *peerv1.Opinion {
	w := &peerv1.Opinion{Id: o.ID, Incarnation: o.Incarnation, Term: o.Term, By: o.By, Proof: tellProof(o.Proof)}
	switch x := o.Word.(type) {
	case ring.Suspect:
		w.Body = &peerv1.Opinion_Suspect{Suspect: &peerv1.Suspect{Evidence: x.Evidence.Number()}}
	case ring.Clear:
		w.Body = &peerv1.Opinion_Clear{Clear: &peerv1.Clear{}}
	case ring.Doubt:
		w.Body = &peerv1.Opinion_Doubt{Doubt: &peerv1.Doubt{}}
	case ring.GrantExpired:
		w.Body = &peerv1.Opinion_GrantExpired{GrantExpired: &peerv1.GrantExpired{Grant: x.Grant, Evidence: x.Evidence.Number()}}
	}
	return w
}

func encodeEvicted(e election.EvictedNotice) *peerv1.Evicted {
	return &peerv1.Evicted{RingId: e.RingID, Id: e.ID, Epoch: e.Epoch}
}

// EncodeEvicted makes the last word to a former member.
func EncodeEvicted(e election.EvictedNotice) *peerv1.StreamResponse {
	return &peerv1.StreamResponse{Body: &peerv1.StreamResponse_Evicted{Evicted: encodeEvicted(e)}}
}

// DecodeEvicted is the inverse of EncodeEvicted.
func DecodeEvicted(e *peerv1.Evicted) election.EvictedNotice {
	return election.EvictedNotice{RingID: e.GetRingId(), ID: e.GetId(), Epoch: e.GetEpoch()}
}

// EncodeHeld makes the last word to a process that another one is its member.
func EncodeHeld(h election.Held) *peerv1.StreamResponse {
	return &peerv1.StreamResponse{Body: &peerv1.StreamResponse_Held{Held: &peerv1.Held{
		RingId: h.RingID, Id: h.ID, Incarnation: h.Incarnation, By: h.By, Addresses: slices.Clone(h.Addresses), Behind: h.Behind,
	}}}
}

// DecodeHeld is the inverse of EncodeHeld. It fails with ErrMalformed.
func DecodeHeld(h *peerv1.Held) (election.Held, error) {
	if foreign.CheckName("ring", h.GetRingId()) != nil || h.GetId() == 0 || h.GetIncarnation() == 0 || h.GetBy() == 0 || foreign.CheckAddresses(h.GetAddresses()) != nil {
		return election.Held{}, fmt.Errorf("%w: word about who is member %d", ErrMalformed, h.GetId())
	}
	return election.Held{RingID: h.GetRingId(), ID: h.GetId(), Incarnation: h.GetIncarnation(), By: h.GetBy(), Addresses: h.GetAddresses(), Behind: h.GetBehind()}, nil
}
