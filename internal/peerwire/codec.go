package peerwire

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/foreign"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// MaxMessage bounds an encoded PeerEnvelope, in bytes, both ways.
const MaxMessage = 8 << 20

// Encode turns a message into its wire form. The envelope shares no memory
// with the message. It fails for a message without a body, with more than one,
// or above MaxMessage.
func Encode(m election.Message) (*arcv1.PeerEnvelope, error) {
	env, bodies := (*arcv1.PeerEnvelope)(nil), 0
	if m.Raft != nil {
		bodies++
		size := proto.Size(m.Raft)
		if size > MaxMessage-64 {
			return nil, fmt.Errorf("encode %s of %d bytes, more than %d: %w", m.Raft.GetType(), size, MaxMessage-64, ErrTooLarge)
		}
		b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(make([]byte, 0, size), m.Raft)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", m.Raft.GetType(), err)
		}
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Raft{Raft: b}}
	}
	if r := m.Renew; r != nil {
		bodies++
		env = renewEnvelope(r)
	}
	if r := m.RenewAck; r != nil {
		bodies++
		env = renewAckEnvelope(r)
	}
	if s := m.Suspicion; s != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Suspicion{Suspicion: &arcv1.Suspicion{
			Id: s.ID, Incarnation: s.Incarnation, Term: s.Term, Evidence: string(s.Evidence), Cleared: s.Cleared, By: s.By,
			Grant: s.Grant, Doubt: s.Doubt,
		}}}
	}
	if c := m.Certificate; c != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Certificate{Certificate: &arcv1.Certificate{
			Name: Text(c.Name), Id: c.ID, Incarnation: c.Incarnation, Exit: Text(c.Exit), Clean: c.Clean,
		}}}
	}
	if r := m.Release; r != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Release{Release: &arcv1.Release{Term: r.Term, Seq: r.Seq, Id: r.ID, Incarnation: r.Incarnation, Lapsed: r.Lapsed}}}
	}
	if e := m.Evicted; e != nil {
		bodies++
		env = EncodeEvicted(*e)
	}
	if r := m.Return; r != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Return{Return: &arcv1.Return{
			Id: r.ID, Incarnation: r.Incarnation, Addresses: append([]string(nil), r.Addresses...), Version: Text(r.Version), LogVersion: r.LogVersion,
			Former: append([]uint64(nil), r.Former...), LastIndex: r.Last, Term: r.Term, Ask: r.Ask,
		}}}
	}
	if h := m.Held; h != nil {
		bodies++
		env = EncodeHeld(*h)
	}
	if c := m.Check; c != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Check{Check: &arcv1.Check{Answer: c.Answer, Term: c.Term}}}
	}
	if t := m.Takeover; t != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Takeover{Takeover: &arcv1.Takeover{
			Term: t.Term, Answer: t.Answer, Able: t.Able, Reached: uint32(t.Reached), Stuck: t.Stuck, Lapsed: t.Lapsed, // #nosec G115 -- a count of voters
		}}}
	}
	if m.Unwatched != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Unwatched{Unwatched: &arcv1.Unwatched{}}}
	}
	if x := m.Inspect; x != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Inspect{Inspect: &arcv1.Inspect{Id: x.ID, Incarnation: x.Incarnation}}}
	}
	if bodies != 1 {
		return nil, fmt.Errorf("encode message from %d to %d with %d bodies, want 1: %w", m.From, m.To, bodies, ErrMalformed)
	}
	return env, nil
}

// renewEnvelope and renewAckEnvelope make an envelope in one piece: no other
// message is sent nearly as often.
func renewEnvelope(r *election.Renew) *arcv1.PeerEnvelope {
	var all struct {
		env   arcv1.PeerEnvelope
		body  arcv1.PeerEnvelope_Renew
		renew arcv1.Renew
	}
	all.env.Body, all.body.Renew = &all.body, &all.renew
	w := &all.renew
	w.Term, w.Seq, w.LeaseUs, w.Incarnation = r.Term, r.Seq, uint64(r.Lease/time.Microsecond), r.Incarnation
	w.Watcher, w.Grant, w.Claims, w.Acked = r.Watcher, r.Grant, r.Claims, r.Acked
	return &all.env
}

func renewAckEnvelope(r *election.RenewAck) *arcv1.PeerEnvelope {
	var all struct {
		env  arcv1.PeerEnvelope
		body arcv1.PeerEnvelope_RenewAck
		ack  arcv1.RenewAck
	}
	all.env.Body, all.body.RenewAck = &all.body, &all.ack
	all.ack.Term, all.ack.Seq, all.ack.LeaseUs = r.Term, r.Seq, uint64(r.Lease/time.Microsecond)
	return &all.env
}

// Text makes a text one that the other side takes: another one would end the
// whole stream.
func Text(s string) string { return foreign.Cut(foreign.Text(s), foreign.MaxText) }

// EncodeEvicted makes the envelope of a notice to a former member.
func EncodeEvicted(e election.EvictedNotice) *arcv1.PeerEnvelope {
	return &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Evicted{Evicted: &arcv1.Evicted{RingId: e.RingID, Id: e.ID, Epoch: e.Epoch}}}
}

// DecodeEvicted is the inverse of EncodeEvicted.
func DecodeEvicted(e *arcv1.Evicted) election.EvictedNotice {
	return election.EvictedNotice{RingID: e.GetRingId(), ID: e.GetId(), Epoch: e.GetEpoch()}
}

// EncodeHeld makes the envelope of the word that another process is a member.
func EncodeHeld(h election.Held) *arcv1.PeerEnvelope {
	return &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Held{Held: &arcv1.Held{
		RingId: h.RingID, Id: h.ID, Incarnation: h.Incarnation, By: h.By, Addresses: append([]string(nil), h.Addresses...), Behind: h.Behind,
	}}}
}

// DecodeHeld is the inverse of EncodeHeld. It fails with ErrMalformed.
func DecodeHeld(h *arcv1.Held) (election.Held, error) {
	if foreign.CheckName("ring", h.GetRingId()) != nil || h.GetId() == 0 || h.GetIncarnation() == 0 || h.GetBy() == 0 || foreign.CheckAddresses(h.GetAddresses()) != nil {
		return election.Held{}, fmt.Errorf("%w: word about who is member %d", ErrMalformed, h.GetId())
	}
	return election.Held{RingID: h.GetRingId(), ID: h.GetId(), Incarnation: h.GetIncarnation(), By: h.GetBy(), Addresses: h.GetAddresses(), Behind: h.GetBehind()}, nil
}
