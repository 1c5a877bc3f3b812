package peerwire

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/limits"
	"github.com/arc-ring/arc/internal/trust"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	"github.com/arc-ring/arc/ring"
)

// signer is a member of cluster c with keys.
func signer(secret trust.Secret, name string) Proofs {
	return Proofs{trust.Minted([]trust.Secret{secret}, trust.Identity{Cluster: "c", Role: trust.Member, Name: name}), "c"}
}

// over is what the other end of a stream takes a message for.
func over(t *testing.T, m election.Message) election.Message {
	t.Helper()
	env, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	got := &peerv1.StreamRequest{}
	if err := proto.Unmarshal(b, got); err != nil {
		t.Fatal(err)
	}
	out, err := Decode(got, m.From, m.To)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A word that a member passes on is believed if its author signed it, just so.
func TestNobodyPassesOnWhatItsAuthorDidNotSay(t *testing.T) {
	secret := trust.NewSecret()
	n1, n2, n3 := signer(secret, "n1"), signer(secret, "n2"), signer(secret, "n3")
	nameOf := func(id uint64) string { return map[uint64]string{1: "n1", 2: "n2", 3: "n3"}[id] }
	w := &peerv1.Certificate{Name: "n1", Id: 1, Incarnation: 11, Exit: "killed"}
	if err := n1.SignCertificate("r", w); err != nil {
		t.Fatal(err)
	}
	death, err := DecodeCertificate(w)
	if err != nil {
		t.Fatal(err)
	}
	said := election.Message{Release: &election.Release{Term: 7, Seq: 40, ID: 1, Incarnation: 11}}
	watched := election.Message{Opinion: &ring.Opinion{ID: 3, Incarnation: 33, Term: 7, By: 1, Word: ring.GrantExpired{Grant: 5, Evidence: ring.Silent}}}
	if err := errors.Join(n1.Sign("r", &said), n1.Sign("r", &watched)); err != nil {
		t.Fatal(err)
	}
	release := *said.Release
	testimony := func(from uint64, edit func(*ring.Opinion)) election.Message {
		o := *watched.Opinion
		edit(&o)
		return election.Message{From: from, To: 3, Opinion: &o}
	}
	certificate := func(edit func(*election.Certificate)) election.Message {
		c := death
		edit(&c)
		return election.Message{From: 2, To: 3, Certificate: &c}
	}
	releases := func(from uint64, edit func(*election.Release)) election.Message {
		r := release
		edit(&r)
		return election.Message{From: from, To: 3, Release: &r}
	}
	byAnother := func(c *election.Certificate) {
		w := &peerv1.Certificate{Name: "n1", Id: 1, Incarnation: 11, Exit: "killed"}
		if err := n2.SignCertificate("r", w); err != nil {
			t.Fatal(err)
		}
		*c, _ = DecodeCertificate(w)
	}
	for name, c := range map[string]struct {
		m        election.Message
		ring     string
		believed bool
	}{
		"a certificate":                  {certificate(func(*election.Certificate) {}), "r", true},
		"a release":                      {releases(2, func(*election.Release) {}), "r", true},
		"a release for fewer renewals":   {releases(2, func(r *election.Release) { r.Seq = 39 }), "r", true},
		"a leader's own, without proof":  {releases(1, func(r *election.Release) { r.Proof = "" }), "r", true},
		"a testimony":                    {testimony(2, func(*ring.Opinion) {}), "r", true},
		"a watcher's own, without proof": {testimony(1, func(o *ring.Opinion) { o.Proof = "" }), "r", true},
		"a testimony without proof":      {testimony(2, func(o *ring.Opinion) { o.Proof = "" }), "r", false},
		"a testimony of another watcher": {testimony(2, func(o *ring.Opinion) { o.By = 3 }), "r", false},
		"a testimony of another grant":   {testimony(2, func(o *ring.Opinion) { o.Word = ring.GrantExpired{Grant: 6, Evidence: ring.Silent} }), "r", false},
		"a testimony against another":    {testimony(2, func(o *ring.Opinion) { o.ID = 2 }), "r", false},
		"a testimony in another term":    {testimony(2, func(o *ring.Opinion) { o.Term++ }), "r", false},
		"a testimony of another ring":    {testimony(2, func(*ring.Opinion) {}), "r2", false},
		"a suspicion in another's name":  {testimony(2, func(o *ring.Opinion) { o.Word, o.Proof = ring.Suspect{Evidence: ring.Silent}, "" }), "r", false},
		"a certificate without proof":    {certificate(func(c *election.Certificate) { c.Proof = "" }), "r", false},
		"a release without proof":        {releases(2, func(r *election.Release) { r.Proof = "" }), "r", false},
		"a certificate by another":       {certificate(byAnother), "r", false},
		"a certificate of another ring":  {certificate(func(*election.Certificate) {}), "r2", false},
		"a release of another ring":      {releases(2, func(*election.Release) {}), "r2", false},
		"of another member":              {certificate(func(c *election.Certificate) { c.Name, c.ID = "n3", 3 }), "r", false},
		"of another id":                  {certificate(func(c *election.Certificate) { c.ID = 3 }), "r", false},
		"of another process":             {certificate(func(c *election.Certificate) { c.Incarnation++ }), "r", false},
		"a clean end that was not":       {certificate(func(c *election.Certificate) { c.Clean = true }), "r", false},
		"another exit":                   {certificate(func(c *election.Certificate) { c.Exit = "" }), "r", false},
		"a release for more renewals":    {releases(2, func(r *election.Release) { r.Seq++ }), "r", false},
		"a release of another term":      {releases(2, func(r *election.Release) { r.Term++ }), "r", false},
		"a release of another leader":    {releases(2, func(r *election.Release) { r.ID = 3 }), "r", false},
		"a release of nobody known":      {releases(2, func(r *election.Release) { r.ID = 9 }), "r", false},
		"a release of another process":   {releases(2, func(r *election.Release) { r.Incarnation++ }), "r", false},
		"a lapse made a handover":        {releases(2, func(r *election.Release) { r.Lapsed = true }), "r", false},
		"a release with a certificate's": {releases(2, func(r *election.Release) { r.Proof = death.Proof }), "r", false},
		"a certificate with a release's": {certificate(func(c *election.Certificate) { c.Proof = release.Proof }), "r", false},
		"noise for a proof":              {certificate(func(c *election.Certificate) { c.Proof = "\x0a\x02" }), "r", false},
	} {
		err := n3.Check(c.ring, over(t, c.m), nameOf)
		if c.believed != (err == nil) || err != nil && !errors.Is(err, trust.ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Another secret, or another cluster, proves nothing; without keys all is believed.
	for name, p := range map[string]Proofs{"another secret": signer(trust.NewSecret(), "n3"), "another cluster": {trust.Minted([]trust.Secret{secret}, trust.Identity{Cluster: "d", Role: trust.Member, Name: "n3"}), "d"}} {
		if err := p.Check("r", certificate(func(*election.Certificate) {}), nameOf); err == nil {
			t.Errorf("%s: believed", name)
		}
	}
	if err := (Proofs{}).Check("r", certificate(byAnother), nameOf); err != nil {
		t.Errorf("in the clear: %v", err)
	}
}

func TestAProofHasAFewCertificates(t *testing.T) {
	secret := trust.NewSecret()
	w := &peerv1.Certificate{Name: "n1", Id: 1, Incarnation: 11}
	if err := signer(secret, "n1").SignCertificate("r", w); err != nil {
		t.Fatal(err)
	}
	for over := range 2 {
		for len(w.Proof.Chain) < limits.Chain+over {
			w.Proof.Chain = append(w.Proof.Chain, w.Proof.Chain[0])
		}
		c, err := DecodeCertificate(w)
		if err != nil {
			t.Fatal(err)
		}
		err = signer(secret, "n2").Check("r", election.Message{From: 3, Certificate: &c}, func(uint64) string { return "" })
		if (err != nil) != (over > 0) {
			t.Errorf("%d certificates: %v", len(w.Proof.Chain), err)
		}
	}
}

// Whatever a peer puts into a message, it is taken for that of the stream's own
// member.
func TestEachMessageIsOfItsStreamsMember(t *testing.T) {
	const from, to = 2, 3
	seen := map[string]bool{}
	for name, m := range everyBody() {
		m.From, m.To = from, to
		env, err := Encode(m)
		if err != nil {
			continue // a body that is refused has a test of its own
		}
		seen[string(env.ProtoReflect().WhichOneof(env.ProtoReflect().Descriptor().Oneofs().ByName("body")).Name())] = true
		// Raft's messages name their sender themselves: another one is an error.
		for _, as := range []uint64{from, 4} {
			got, err := Decode(env, as, to)
			if m.Raft != nil && as != m.Raft.GetFrom() {
				if err == nil {
					t.Errorf("%s: member %d speaks for member %d", name, as, m.Raft.GetFrom())
				}
				continue
			}
			if err == nil && got.From != as {
				t.Errorf("%s: on the stream of member %d it is taken for member %d's", name, as, got.From)
			}
		}
	}
	bodies := (&peerv1.StreamRequest{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	for i := range bodies.Len() {
		switch name := string(bodies.Get(i).Name()); name {
		case "hello", "part", "path_check": // the transport's own
		default:
			if !seen[name] {
				t.Errorf("no test has a %s", name)
			}
		}
	}
}
