package coordinator

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/internal/trust"
	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// secureRing starts members that share a secret.
func secureRing(t *testing.T, names ...string) ([]*testNode, trust.Secret) {
	t.Helper()
	secret := trust.NewSecret()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(trust.FormatSecrets([]trust.Secret{secret})), 0o600); err != nil {
		t.Fatal(err)
	}
	var nodes []*testNode
	for i, name := range names {
		o := testOptions(t, name)
		o.Keys.Secret = path
		if o.Bootstrap = i == 0; i > 0 {
			o.Join = []string{nodes[0].address()}
		}
		nodes = append(nodes, start(t, o))
		nodes[0].awaitLeader(names[0], i+1)
	}
	return nodes, secret
}

// as connects to the node with a certificate.
func (n *testNode) as(secret trust.Secret, role trust.Role, name string) *grpc.ClientConn {
	n.t.Helper()
	h := trust.Minted([]trust.Secret{secret}, trust.Identity{Cluster: n.o.Cluster, Role: role, Name: name})
	conn, err := grpc.NewClient(n.address(), grpc.WithTransportCredentials(h.Credentials()))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A process with a member's certificate, and with each lesser one, tries to act in
// the name of others by every call that names somebody.
func TestNobodyActsInAnothersName(t *testing.T) {
	nodes, secret := secureRing(t, "n1", "n2")
	n1 := nodes[0]
	st := n1.status()
	i := slices.IndexFunc(st.GetMembers(), func(m *arcv1.MemberStatus) bool { return m.GetName() == "n2" })
	victim := st.GetMembers()[i]
	ctx := n1.ctx()
	certificate := &peerv1.Certificate{Name: "n2", Id: victim.GetId(), Incarnation: victim.GetIncarnation(), Exit: "killed"}
	acts := map[string]func(conn *grpc.ClientConn) error{
		"a death certificate": func(conn *grpc.ClientConn) error {
			_, err := peerv1.NewPeerServiceClient(conn).Certify(ctx, &peerv1.CertifyRequest{Cluster: st.GetCluster(), RingId: st.GetRingId(), Certificate: certificate})
			return err
		},
		"a death certificate in its own name for another's id": func(conn *grpc.ClientConn) error {
			_, err := peerv1.NewPeerServiceClient(conn).Certify(ctx, &peerv1.CertifyRequest{Cluster: st.GetCluster(), RingId: st.GetRingId(),
				Certificate: &peerv1.Certificate{Name: "mallory", Id: victim.GetId(), Incarnation: victim.GetIncarnation(), Exit: "killed"}})
			return err
		},
		"a stream of messages": func(conn *grpc.ClientConn) error {
			s, err := peerv1.NewPeerServiceClient(conn).Stream(ctx)
			if err == nil {
				_ = s.Send(&peerv1.StreamRequest{Body: &peerv1.StreamRequest_Hello{Hello: &peerv1.PeerHello{
					Cluster: st.GetCluster(), RingId: st.GetRingId(), Id: victim.GetId(), Incarnation: victim.GetIncarnation(), Name: "n2",
				}}})
				_, err = s.Recv() // tells why, if nothing could be sent
			}
			return err
		},
		"a stream under its own name and another's id": func(conn *grpc.ClientConn) error {
			s, err := peerv1.NewPeerServiceClient(conn).Stream(ctx)
			if err == nil {
				_ = s.Send(&peerv1.StreamRequest{Body: &peerv1.StreamRequest_Hello{Hello: &peerv1.PeerHello{
					Cluster: st.GetCluster(), RingId: st.GetRingId(), Id: victim.GetId(), Incarnation: 99, Name: "mallory",
				}}})
				_, err = s.Recv() // tells why, if nothing could be sent
			}
			return err
		},
		"a join": func(conn *grpc.ClientConn) error {
			_, err := arcv1.NewArcServiceClient(conn).Join(ctx, &arcv1.JoinRequest{Cluster: st.GetCluster(), Name: "n3", Incarnation: 9, Addresses: []string{"127.0.0.1:1"}, Nonce: 1, Version: "x"})
			return err
		},
		"a leave": func(conn *grpc.ClientConn) error {
			_, err := arcv1.NewArcServiceClient(conn).Leave(ctx, &arcv1.LeaveRequest{Name: "n2", Forwarded: true})
			return err
		},
		"a founder's question": func(conn *grpc.ClientConn) error {
			_, err := peerv1.NewPeerServiceClient(conn).AcceptFounder(ctx, &peerv1.AcceptFounderRequest{Cluster: st.GetCluster(), Founder: "n2", Incarnation: 9, To: "n1", Names: []string{"n1", "n2"}})
			return err
		},
	}
	for name, act := range acts {
		for _, who := range []struct {
			role trust.Role
			name string
		}{{trust.Member, "mallory"}, {trust.Operate, "n2"}, {trust.Read, "n2"}, {trust.Session, "n2"}} {
			if err := act(n1.as(secret, who.role, who.name)); status.Code(err) != codes.PermissionDenied {
				// An operator may ask the member n2 to leave; then it is n2 that leaves.
				t.Errorf("%s in another's name, by %s %s: %v", name, who.role, who.name, err)
			}
		}
	}
	// A member's probe is answered whatever id it gives: see
	// service.TestAGrantIsTakenFromItsMemberAlone.
	probe, err := peerv1.NewProbeServiceClient(n1.as(secret, trust.Read, "n2")).Probe(ctx)
	if err == nil {
		_, err = probe.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a probe by a reader: %v", err)
	}
	if now := n1.status(); now.GetEpoch() != st.GetEpoch() || now.GetTerm() != st.GetTerm() {
		t.Errorf("epoch and term were %d and %d, are %d and %d", st.GetEpoch(), st.GetTerm(), now.GetEpoch(), now.GetTerm())
	}
	// Its own id does not let it give another name: the log would blame that one.
	s, err := peerv1.NewPeerServiceClient(n1.as(secret, trust.Member, "n2")).Stream(ctx)
	if err == nil {
		_ = s.Send(&peerv1.StreamRequest{Body: &peerv1.StreamRequest_Hello{Hello: &peerv1.PeerHello{
			Cluster: st.GetCluster(), RingId: st.GetRingId(), Id: victim.GetId(), Incarnation: victim.GetIncarnation(), Name: "n3",
		}}})
		_, err = s.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a stream of n2 under the name of n3: %v", err)
	}
	// The member itself may.
	if err := acts["a death certificate"](n1.as(secret, trust.Member, "n2")); err != nil {
		t.Errorf("n2's own monitor: %v", err)
	}
}

// answering gives one answer to who asks for a standing, and accepts each founder.
type answering struct {
	peerv1.UnimplementedPeerServiceServer
	answer *peerv1.StandingResponse
}

func (a answering) Standing(context.Context, *peerv1.StandingRequest) (*peerv1.StandingResponse, error) {
	return a.answer, nil
}

func (answering) AcceptFounder(context.Context, *peerv1.AcceptFounderRequest) (*peerv1.AcceptFounderResponse, error) {
	return &peerv1.AcceptFounderResponse{Accepted: true}, nil
}

// serve answers at an address with the certificate of a member.
func (a answering) serve(t *testing.T, keys *trust.Holder) (address string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(keys.Credentials()))
	peerv1.RegisterPeerServiceServer(server, a)
	go func() { _ = server.Serve(lis) }()
	t.Cleanup(server.Stop)
	return lis.Addr().String()
}

// Whether a node is a member is asked at many addresses. Who answers there says it in its
// own name.
func TestNobodyAnswersInAnothersName(t *testing.T) {
	nodes, secret := secureRing(t, "n1", "n2")
	n1 := nodes[0]
	st := n1.status()
	mallory := trust.Minted([]trust.Secret{secret}, trust.Identity{Cluster: n1.o.Cluster, Role: trust.Member, Name: "mallory"})
	for name, c := range map[string]struct {
		answer   *peerv1.StandingResponse
		believed bool
	}{
		"itself":                     {&peerv1.StandingResponse{RingId: st.GetRingId(), Self: "mallory", SelfId: 9}, true},
		"itself, in no ring":         {&peerv1.StandingResponse{Self: "mallory"}, true},
		"itself, in another ring":    {&peerv1.StandingResponse{RingId: "another", Self: "mallory", SelfId: 2}, true},
		"another":                    {&peerv1.StandingResponse{RingId: st.GetRingId(), Self: "n2", SelfId: 2}, false},
		"another by its id":          {&peerv1.StandingResponse{RingId: st.GetRingId(), Self: "mallory", SelfId: 2}, false},
		"another that has an old id": {&peerv1.StandingResponse{RingId: st.GetRingId(), Self: "n2", SelfId: 9}, false},
		"nobody":                     {&peerv1.StandingResponse{}, false},
	} {
		_, err := n1.n.standingAt(n1.ctx(), []string{answering{answer: c.answer}.serve(t, mallory)}, &peerv1.StandingRequest{Cluster: n1.o.Cluster, RingId: st.GetRingId(), Id: 1})
		if c.believed != (err == nil) || err != nil && !errors.Is(err, reason.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, accepted := range map[string]bool{"mallory": true, "n3": false} {
		ok, _, err := n1.n.askFounder(n1.ctx(), answering{}.serve(t, mallory), &peerv1.AcceptFounderRequest{Cluster: n1.o.Cluster, Founder: "n1", To: name})
		if _, counts := n1.n.acceptance.words.Load(name); ok != accepted || counts != accepted || !accepted && !errors.Is(err, reason.ErrDenied) {
			t.Errorf("%s is said to accept a founder: %v, %v", name, ok, err)
		}
	}
}

func TestASecretIsReplacedUnderARing(t *testing.T) {
	nodes, old := secureRing(t, "n1", "n2")
	n1 := nodes[0]
	st := n1.status()
	path := n1.o.Keys.Secret
	steps := []trust.Secret{old}
	for _, step := range trust.Steps {
		next, err := trust.Rotate(steps, step, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		steps = next
		if err := os.WriteFile(path+".new", []byte(trust.FormatSecrets(steps)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			before := n.status().GetSecrets()
			if _, err := n.n.trust.Reload(); err != nil {
				t.Fatal(err)
			}
			// An operator sees which members have the step's file.
			if after := n.status().GetSecrets(); slices.Equal(before, after) || !slices.Equal(after, trust.IDs(steps)) {
				t.Errorf("%s: the status of %s had the secrets %v, and has %v, want %v", step, n.o.Name, before, after, trust.IDs(steps))
			}
		}
	}
	if _, err := arcv1.NewArcServiceClient(n1.as(old, trust.Operate, "x")).Status(n1.ctx(), &arcv1.StatusRequest{}); err == nil {
		t.Error("the dropped secret still opens")
	}
	if _, err := arcv1.NewArcServiceClient(n1.as(steps[0], trust.Read, "x")).Status(n1.ctx(), &arcv1.StatusRequest{}); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	now := nodes[1].awaitLeader("n1", 2)
	if now.GetTerm() != st.GetTerm() || now.GetEpoch() != st.GetEpoch() {
		t.Errorf("epoch and term were %d and %d, are %d and %d", st.GetEpoch(), st.GetTerm(), now.GetEpoch(), now.GetTerm())
	}
}
