package transport

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

const (
	// maxLease bounds the promise that a renewal may ask for; the longest
	// lease that settings allow is ten minutes.
	maxLease     = time.Hour
	maxText      = 1024
	maxAddresses = 64
	// maxVoters is more than any configuration of raft has, also a joint one.
	maxVoters = 1024
)

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
			Name: text(c.Name), Id: c.ID, Incarnation: c.Incarnation, Exit: text(c.Exit), Clean: c.Clean,
		}}}
	}
	if r := m.Release; r != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Release{Release: &arcv1.Release{Term: r.Term, Seq: r.Seq, Id: r.ID, Incarnation: r.Incarnation, Lapsed: r.Lapsed}}}
	}
	if e := m.Evicted; e != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: evictedBody(*e)}
	}
	if r := m.Return; r != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Return{Return: &arcv1.Return{
			Id: r.ID, Incarnation: r.Incarnation, Addresses: append([]string(nil), r.Addresses...),
		}}}
	}
	if c := m.Check; c != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Check{Check: &arcv1.Check{Answer: c.Answer, Term: c.Term}}}
	}
	if t := m.Takeover; t != nil {
		bodies++
		env = &arcv1.PeerEnvelope{Body: &arcv1.PeerEnvelope_Takeover{Takeover: &arcv1.Takeover{
			Term: t.Term, Answer: t.Answer, Able: t.Able, Reached: uint32(t.Reached), Stuck: t.Stuck, // #nosec G115 -- a count of voters
		}}}
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
	w.Watcher, w.Grant = r.Watcher, r.Grant
	return &all.env
}

func renewAckEnvelope(r *election.RenewAck) *arcv1.PeerEnvelope {
	var all struct {
		env  arcv1.PeerEnvelope
		body arcv1.PeerEnvelope_RenewAck
		ack  arcv1.RenewAck
	}
	all.env.Body, all.body.RenewAck = &all.body, &all.ack
	all.ack.Term, all.ack.Seq = r.Term, r.Seq
	return &all.env
}

// text makes a text one that protobuf takes: it would fail the whole stream.
func text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for len(s) > maxText {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

func evictedBody(e election.EvictedNotice) *arcv1.PeerEnvelope_Evicted {
	return &arcv1.PeerEnvelope_Evicted{Evicted: &arcv1.Evicted{RingId: e.RingID, Id: e.ID, Epoch: e.Epoch}}
}

func evictedNotice(e *arcv1.Evicted) election.EvictedNotice {
	return election.EvictedNotice{RingID: e.GetRingId(), ID: e.GetId(), Epoch: e.GetEpoch()}
}

// Decode is the inverse of Encode for an envelope that came from one member
// to another, as the hellos of its stream told. Whatever would make the
// receiver panic or take a message for somebody else's is refused with
// ErrMalformed.
func Decode(env *arcv1.PeerEnvelope, from, to uint64) (election.Message, error) {
	m := election.Message{From: from, To: to}
	switch body := env.GetBody().(type) {
	case *arcv1.PeerEnvelope_Raft:
		r := &raftpb.Message{}
		if err := proto.Unmarshal(body.Raft, r); err != nil {
			return m, fmt.Errorf("%w: raft message of %d bytes does not decode: %v", ErrMalformed, len(body.Raft), err)
		}
		if r.GetFrom() != from || r.GetTo() != to {
			return m, fmt.Errorf("%w: raft message from %d to %d on the stream from %d to %d", ErrMalformed, r.GetFrom(), r.GetTo(), from, to)
		}
		if err := checkRaft(r); err != nil {
			return m, fmt.Errorf("%w: raft %s: %w", ErrMalformed, r.GetType(), err)
		}
		m.Raft = r
	case *arcv1.PeerEnvelope_Renew:
		r := body.Renew
		if r.GetTerm() == 0 || r.GetLeaseUs() == 0 || r.GetLeaseUs() > uint64(maxLease/time.Microsecond) {
			return m, fmt.Errorf("%w: renewal of term %d for %d us", ErrMalformed, r.GetTerm(), r.GetLeaseUs())
		}
		m.Renew = &election.Renew{
			Term: r.GetTerm(), Seq: r.GetSeq(), Incarnation: r.GetIncarnation(),
			Lease:   time.Duration(r.GetLeaseUs()) * time.Microsecond,
			Watcher: r.GetWatcher(), Grant: r.GetGrant(),
		}
	case *arcv1.PeerEnvelope_RenewAck:
		r := body.RenewAck
		if r.GetTerm() == 0 {
			return m, fmt.Errorf("%w: acknowledged renewal without a term", ErrMalformed)
		}
		m.RenewAck = &election.RenewAck{Term: r.GetTerm(), Seq: r.GetSeq()}
	case *arcv1.PeerEnvelope_Suspicion:
		s := body.Suspicion
		if s.GetId() == 0 || !isEvidence(s.GetEvidence(), s.GetCleared() || s.GetDoubt()) {
			return m, fmt.Errorf("%w: suspicion of member %d with evidence %q", ErrMalformed, s.GetId(), clip(s.GetEvidence()))
		}
		m.Suspicion = &election.Suspicion{
			ID: s.GetId(), Incarnation: s.GetIncarnation(), Term: s.GetTerm(),
			Evidence: ring.Evidence(s.GetEvidence()), Cleared: s.GetCleared(), By: s.GetBy(),
			Grant: s.GetGrant(), Doubt: s.GetDoubt(),
		}
	case *arcv1.PeerEnvelope_Certificate:
		c := body.Certificate
		if c.GetId() == 0 || len(c.GetName()) > maxText || len(c.GetExit()) > maxText {
			return m, fmt.Errorf("%w: certificate for member %d, name of %d bytes, exit of %d bytes", ErrMalformed, c.GetId(), len(c.GetName()), len(c.GetExit()))
		}
		m.Certificate = &election.Certificate{
			Name: c.GetName(), ID: c.GetId(), Incarnation: c.GetIncarnation(), Exit: c.GetExit(), Clean: c.GetClean(),
		}
	case *arcv1.PeerEnvelope_Release:
		r := body.Release
		if r.GetTerm() == 0 || r.GetId() == 0 {
			return m, fmt.Errorf("%w: release of term %d by member %d", ErrMalformed, r.GetTerm(), r.GetId())
		}
		m.Release = &election.Release{Term: r.GetTerm(), Seq: r.GetSeq(), ID: r.GetId(), Incarnation: r.GetIncarnation(), Lapsed: r.GetLapsed()}
	case *arcv1.PeerEnvelope_Evicted:
		e := evictedNotice(body.Evicted)
		if e.ID == 0 || len(e.RingID) > maxText {
			return m, fmt.Errorf("%w: notice of eviction for member %d", ErrMalformed, e.ID)
		}
		m.Evicted = &e
	case *arcv1.PeerEnvelope_Return:
		r := body.Return
		if r.GetId() == 0 || len(r.GetAddresses()) > maxAddresses {
			return m, fmt.Errorf("%w: return of member %d with %d addresses", ErrMalformed, r.GetId(), len(r.GetAddresses()))
		}
		for _, a := range r.GetAddresses() {
			if len(a) > maxText {
				return m, fmt.Errorf("%w: return of member %d with an address of %d bytes", ErrMalformed, r.GetId(), len(a))
			}
		}
		m.Return = &ring.Return{ID: r.GetId(), Incarnation: r.GetIncarnation(), Addresses: r.GetAddresses()}
	case *arcv1.PeerEnvelope_Check:
		m.Check = &election.Check{Answer: body.Check.GetAnswer(), Term: body.Check.GetTerm()}
	case *arcv1.PeerEnvelope_Takeover:
		t := body.Takeover
		if t.GetTerm() == 0 || t.GetReached() > maxVoters {
			return m, fmt.Errorf("%w: takeover in term %d, %d voters reached", ErrMalformed, t.GetTerm(), t.GetReached())
		}
		m.Takeover = &election.Takeover{Term: t.GetTerm(), Answer: t.GetAnswer(), Able: t.GetAble(), Reached: int(t.GetReached()), Stuck: t.GetStuck()}
	case *arcv1.PeerEnvelope_Hello:
		return m, fmt.Errorf("%w: a second hello", ErrMalformed)
	default:
		return m, fmt.Errorf("%w: no body that is known here; does the peer run a newer ARC?", ErrMalformed)
	}
	return m, nil
}

func isEvidence(s string, none bool) bool {
	switch ring.Evidence(s) {
	case ring.Certified, ring.Refused, ring.Reset, ring.Silent:
		return true
	}
	return s == "" && none
}

// clip keeps a foreign text from flooding the log.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
