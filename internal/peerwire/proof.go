package peerwire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/foreign"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
)

// Proofs makes and checks the signatures of messages that others than their author
// pass on. The zero value is of a node without keys: it signs nothing, and believes
// everything.
type Proofs struct {
	Trust   *trust.Holder
	Cluster string
}

// SignCertificate lets a death certificate be passed on.
func (p Proofs) SignCertificate(ringID string, c *peerv1.Certificate) (err error) {
	if p.Trust != nil {
		c.Proof, err = p.sign(&peerv1.Statement{Cluster: p.Cluster, RingId: ringID, Body: &peerv1.Statement_Certificate{Certificate: c}})
	}
	return err
}

// Sign lets others pass on what the own member says: that its grant has ended, or its
// leadership. It leaves the message alone that nobody passes on.
func (p Proofs) Sign(ringID string, m *election.Message) error {
	s := &peerv1.Statement{Cluster: p.Cluster, RingId: ringID}
	switch {
	case p.Trust == nil:
		return nil
	case m.Release != nil:
		s.Body = &peerv1.Statement_Release{Release: encodeRelease(m.Release)}
		proof, err := p.sign(s)
		r := *m.Release // the core has it too
		r.Proof, m.Release = keepProof(proof), &r
		return err
	case m.Opinion != nil && m.Opinion.Grant() != 0:
		s.Body = &peerv1.Statement_Opinion{Opinion: EncodeOpinion(*m.Opinion)}
		proof, err := p.sign(s)
		o := *m.Opinion
		o.Proof, m.Opinion = keepProof(proof), &o
		return err
	}
	return nil
}

func (p Proofs) sign(s *peerv1.Statement) (*peerv1.Proof, error) {
	statement, err := proto.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode what is to be signed: %w", err)
	}
	chain, signature, err := p.Trust.Sign(statement)
	return &peerv1.Proof{Statement: statement, Chain: chain, Signature: signature}, err
}

// Check says why a message that a member passes on is not believed; nil if it is,
// or if the member speaks for itself. nameOf returns a member's name, "" if its id
// is not known: then nobody is believed in its name.
func (p Proofs) Check(ringID string, m election.Message, nameOf func(id uint64) string) error {
	var of, proof string
	switch {
	case p.Trust == nil:
		return nil
	case m.Certificate != nil:
		of, proof = m.Certificate.Name, m.Certificate.Proof
	case m.Release != nil && m.Release.ID != m.From:
		of, proof = nameOf(m.Release.ID), m.Release.Proof
	case m.Opinion != nil && m.Opinion.By != m.From:
		of, proof = nameOf(m.Opinion.By), m.Opinion.Proof
	default:
		return nil
	}
	if err := p.check(ringID, m, of, proof); err != nil {
		return fmt.Errorf("%w: word of %s that member %d passes on: %w", trust.ErrCertificate, foreign.Quote(of), m.From, err)
	}
	return nil
}

func (p Proofs) check(ringID string, m election.Message, of, kept string) error {
	proof, s := &peerv1.Proof{}, &peerv1.Statement{}
	if err := proto.Unmarshal([]byte(kept), proof); err != nil {
		return err
	}
	if len(proof.GetChain()) > limits.Chain {
		return fmt.Errorf("%d certificates are more than %d", len(proof.GetChain()), limits.Chain)
	}
	by, err := p.Trust.Signed(proof.GetStatement(), proof.GetChain(), proof.GetSignature())
	if err != nil {
		return err
	}
	if by != (trust.Identity{Cluster: p.Cluster, Role: trust.Member, Name: of}) {
		return fmt.Errorf("it is signed by %s", by)
	}
	if err := proto.Unmarshal(proof.GetStatement(), s); err != nil {
		return err
	}
	if s.GetCluster() != p.Cluster || s.GetRingId() != ringID || !same(s, m) {
		return fmt.Errorf("what %s signed is something else", by)
	}
	return nil
}

// same reports whether a statement is what the message says.
func same(s *peerv1.Statement, m election.Message) bool {
	if m.Certificate != nil {
		c := *m.Certificate
		c.Proof = ""
		signed, err := DecodeCertificate(s.GetCertificate())
		return err == nil && signed == c
	}
	if m.Opinion != nil {
		o := *m.Opinion
		o.Proof = ""
		signed, err := DecodeOpinion(s.GetOpinion())
		return err == nil && signed == o
	}
	// A voter passes a release on for fewer renewals than were released, never more.
	r, signed := *m.Release, s.GetRelease()
	return r.Term == signed.GetTerm() && r.ID == signed.GetId() && r.Incarnation == signed.GetIncarnation() &&
		r.Lapsed == signed.GetLapsed() && r.Seq <= signed.GetSeq()
}

// keepProof and tellProof are between the wire and the core, which keeps a proof as
// it is.
func keepProof(p *peerv1.Proof) string {
	if p == nil {
		return ""
	}
	b, err := proto.Marshal(p)
	if err != nil {
		return "" // what cannot be told proves nothing
	}
	return string(b)
}

func tellProof(kept string) *peerv1.Proof {
	p := &peerv1.Proof{}
	if kept == "" || proto.Unmarshal([]byte(kept), p) != nil {
		return nil
	}
	return p
}

func encodeRelease(r *election.Release) *peerv1.Release {
	return &peerv1.Release{Term: r.Term, Seq: r.Seq, Id: r.ID, Incarnation: r.Incarnation, Lapsed: r.Lapsed, Proof: tellProof(r.Proof)}
}
