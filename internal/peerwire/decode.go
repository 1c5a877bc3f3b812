package peerwire

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/foreign"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	ringv1 "github.com/arc-ring/arc/proto/arc/ring/v1"
	"github.com/arc-ring/arc/ring"
)

// maxVoters is more than any configuration of raft has, also a joint one.
const maxVoters = 1024

// Decode is the inverse of Encode for an envelope that came from one member
// to another, as the hellos of its stream told. Whatever would make the
// receiver panic or take a message for somebody else's is refused with
// ErrMalformed.
func Decode(env *peerv1.StreamRequest, from, to uint64) (election.Message, error) {
	m := election.Message{From: from, To: to}
	switch body := env.GetBody().(type) {
	case *peerv1.StreamRequest_Raft:
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
	case *peerv1.StreamRequest_Renew:
		r := body.Renew
		if badTerm(r.GetTerm()) || r.GetLeaseUs() == 0 || badLease(r.GetLeaseUs()) {
			return m, fmt.Errorf("%w: renewal of term %d for %d us", ErrMalformed, r.GetTerm(), r.GetLeaseUs())
		}
		m.Renew = &election.Renew{
			Term: r.GetTerm(), Seq: r.GetSeq(), Incarnation: r.GetIncarnation(),
			Lease:   time.Duration(r.GetLeaseUs()) * time.Microsecond,
			Watcher: r.GetWatcher(), Grant: r.GetGrant(), Claims: r.GetClaims(), Acked: r.GetAcked(),
		}
	case *peerv1.StreamRequest_RenewAck:
		r := body.RenewAck
		if badTerm(r.GetTerm()) || badLease(r.GetLeaseUs()) {
			return m, fmt.Errorf("%w: acknowledged renewal of term %d for %d us", ErrMalformed, r.GetTerm(), r.GetLeaseUs())
		}
		m.RenewAck = &election.RenewAck{Term: r.GetTerm(), Seq: r.GetSeq(), Lease: time.Duration(r.GetLeaseUs()) * time.Microsecond}
	case *peerv1.StreamRequest_Opinion:
		o, err := DecodeOpinion(body.Opinion)
		if err != nil {
			return m, err
		}
		m.Opinion = &o
	case *peerv1.StreamRequest_Certificate:
		c, err := DecodeCertificate(body.Certificate)
		if err != nil {
			return m, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		m.Certificate = &c
	case *peerv1.StreamRequest_Release:
		r := body.Release
		if badTerm(r.GetTerm()) || r.GetId() == 0 {
			return m, fmt.Errorf("%w: release of term %d by member %d", ErrMalformed, r.GetTerm(), r.GetId())
		}
		m.Release = &election.Release{Term: r.GetTerm(), Seq: r.GetSeq(), ID: r.GetId(), Incarnation: r.GetIncarnation(), Lapsed: r.GetLapsed(), Proof: keepProof(r.GetProof())}
	case *peerv1.StreamRequest_Evicted:
		e := DecodeEvicted(body.Evicted)
		if err := foreign.CheckName("ring", e.RingID); e.ID == 0 || err != nil {
			return m, fmt.Errorf("%w: notice of eviction for member %d of ring %s", ErrMalformed, e.ID, foreign.Quote(e.RingID))
		}
		m.Evicted = &e
	case *peerv1.StreamRequest_Return:
		r := body.Return
		if r.GetId() == 0 || r.GetIncarnation() == 0 {
			return m, fmt.Errorf("%w: return of member %d as incarnation %d", ErrMalformed, r.GetId(), r.GetIncarnation())
		}
		if err := cmp.Or(foreign.CheckAddresses(r.GetAddresses()), foreign.CheckText("version", r.GetVersion())); err != nil {
			return m, fmt.Errorf("%w: return of member %d: %w", ErrMalformed, r.GetId(), err)
		}
		if r.GetTerm() > election.MaxTerm {
			return m, fmt.Errorf("%w: return of member %d in term %d", ErrMalformed, r.GetId(), r.GetTerm())
		}
		if len(r.GetFormer()) > election.FormerKept {
			return m, fmt.Errorf("%w: return of member %d with %d former incarnations", ErrMalformed, r.GetId(), len(r.GetFormer()))
		}
		m.Return = &election.Return{
			Return: ring.Return{ID: r.GetId(), Incarnation: r.GetIncarnation(), Addresses: r.GetAddresses(), Version: r.GetVersion(), LogVersion: r.GetLogVersion()},
			Former: r.GetFormer(), Last: r.GetLastIndex(), Term: r.GetTerm(), Ask: r.GetAsk(),
		}
	case *peerv1.StreamRequest_Check:
		c := body.Check
		if c.GetTerm() > election.MaxTerm {
			return m, fmt.Errorf("%w: sign of life with the token %d", ErrMalformed, c.GetTerm())
		}
		m.Check = &election.Check{Answer: c.GetAnswer(), Term: c.GetTerm()}
	case *peerv1.StreamRequest_Takeover:
		t := body.Takeover
		if badTerm(t.GetTerm()) || t.GetReached() > maxVoters {
			return m, fmt.Errorf("%w: takeover in term %d, %d voters reached", ErrMalformed, t.GetTerm(), t.GetReached())
		}
		m.Takeover = &election.Takeover{Term: t.GetTerm(), Answer: t.GetAnswer(), Able: t.GetAble(), Reached: int(t.GetReached()), Stuck: t.GetStuck(), Lapsed: t.GetLapsed()}
	case *peerv1.StreamRequest_Unwatched:
		m.Unwatched = &election.Unwatched{}
	case *peerv1.StreamRequest_Inspect:
		x := body.Inspect
		if x.GetId() == 0 {
			return m, fmt.Errorf("%w: inspection of member 0", ErrMalformed)
		}
		m.Inspect = &election.Inspect{ID: x.GetId(), Incarnation: x.GetIncarnation()}
	case *peerv1.StreamRequest_Part:
		return m, fmt.Errorf("%w: a part of an envelope", ErrMalformed)
	case *peerv1.StreamRequest_Hello:
		return m, fmt.Errorf("%w: a second hello", ErrMalformed)
	default:
		return m, fmt.Errorf("%w: no body that is known here; does the peer run a newer ARC?", ErrMalformed)
	}
	return m, nil
}

// DecodeOpinion returns what a monitor says, whichever way it comes. It fails with
// ErrMalformed.
func DecodeOpinion(w *peerv1.Opinion) (ring.Opinion, error) {
	o := ring.Opinion{ID: w.GetId(), Incarnation: w.GetIncarnation(), Term: w.GetTerm(), By: w.GetBy(), Proof: keepProof(w.GetProof())}
	switch x := w.GetBody().(type) {
	case *peerv1.Opinion_Suspect:
		o.Word = ring.Suspect{Evidence: evidenceOf(x.Suspect.GetEvidence())}
	case *peerv1.Opinion_GrantExpired:
		o.Word = ring.GrantExpired{Grant: x.GrantExpired.GetGrant(), Evidence: evidenceOf(x.GrantExpired.GetEvidence())}
	case *peerv1.Opinion_Clear:
		o.Word = ring.Clear{}
	case *peerv1.Opinion_Doubt:
		o.Word = ring.Doubt{}
	}
	unfounded := o.Evidence() == "" && o.Word != (ring.Clear{}) && o.Word != (ring.Doubt{})
	if o.ID == 0 || o.Term > election.MaxTerm || unfounded {
		return o, fmt.Errorf("%w: opinion of member %d in term %d: %v", ErrMalformed, o.ID, o.Term, o.Word)
	}
	return o, nil
}

// evidenceOf returns the evidence of a suspicion; "" for what none rests on.
func evidenceOf(n ringv1.Evidence) ring.Evidence {
	e, _ := ring.EvidenceOf(n)
	switch e {
	case ring.Certified, ring.Refused, ring.Reset, ring.Silent:
		return e
	}
	return ""
}

// badTerm reports whether no leadership has the term.
func badTerm(term uint64) bool { return term == 0 || term > election.MaxTerm }

// badLease reports whether no settings have the lease; 0 is fine.
func badLease(us uint64) bool { return us > uint64(ring.LongestLease/time.Microsecond) }

// DecodeCertificate returns a certificate, whichever way it comes, or says what is
// wrong with it.
func DecodeCertificate(w *peerv1.Certificate) (election.Certificate, error) {
	c := election.Certificate{Name: w.GetName(), ID: w.GetId(), Incarnation: w.GetIncarnation(), Exit: w.GetExit(), Clean: w.GetClean(), Proof: keepProof(w.GetProof())}
	if c.ID == 0 || c.Incarnation == 0 {
		return c, fmt.Errorf("certificate for member %d, incarnation %d", c.ID, c.Incarnation)
	}
	if err := cmp.Or(foreign.CheckName("name", c.Name), foreign.CheckText("exit", c.Exit)); err != nil {
		return c, fmt.Errorf("certificate for member %d: %w", c.ID, err)
	}
	return c, nil
}

// DecodePing returns what a probe means to a leader, and false if it gives no
// grant. No watcher's word lasts longer than the longest lease.
func DecodePing(p *peerv1.ProbeRequest, at election.Instant) (election.Ping, bool) {
	if p.GetGrant() == 0 || p.GetSeq() > math.MaxInt64 {
		return election.Ping{}, false
	}
	us := min(p.GetGrantUs(), uint64(ring.LongestLease/time.Microsecond))
	return election.Ping{From: p.GetFromId(), Seq: p.GetSeq(), Grant: p.GetGrant(), Ack: p.GetAck(), Length: time.Duration(us) * time.Microsecond, At: at}, true
}
