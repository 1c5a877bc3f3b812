package coordinator

import (
	"os"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	peerv1 "github.com/arc-ring/arc/proto/arc/peer/v1"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
)

// forge opens a peer stream to a member in the name of another one, and says
// that the member is out of the ring.
func forge(t *testing.T, to, as *testNode, ring string, epoch uint64) {
	t.Helper()
	conn, err := grpc.NewClient(to.address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := peerv1.NewPeerServiceClient(conn).Stream(to.ctx())
	if err != nil {
		t.Fatal(err)
	}
	self, member := as.status(), to.status().GetSelfId()
	hello := &peerv1.PeerHello{Cluster: as.o.Cluster, RingId: ring, Id: self.GetSelfId(), To: member, Name: as.o.Name, Incarnation: as.n.incarnation}
	for _, env := range []*peerv1.StreamRequest{
		{Body: &peerv1.StreamRequest_Hello{Hello: hello}},
		{Body: &peerv1.StreamRequest_Evicted{Evicted: &peerv1.Evicted{RingId: ring, Id: member, Epoch: epoch}}},
	} {
		if err := stream.Send(env); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.Recv(); err != nil { // its hello: what follows is read
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	_, _ = stream.Recv() // all of it was read
}

func TestForgedNoticesTakeNobodyOut(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	before := nodes[0].awaitLeader("n1", 3)
	for round := range 5 {
		for i, n := range nodes {
			forge(t, n, nodes[(i+1)%3], before.GetRingId(), before.GetEpoch()+100)
		}
		profile := []string{"wan", "lan"}[round%2]
		if _, err := nodes[0].client.SetSettings(nodes[0].ctx(), &arcv1.SetSettingsRequest{Changes: map[string]string{"profile": profile}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		st := n.await("everybody where it was", func(st *arcv1.StatusResponse) bool { return st.GetLeader().GetName() == "n1" })
		if !slices.Equal(ids(st), []uint64{1, 2, 3}) || st.GetTerm() != before.GetTerm() {
			t.Errorf("%s sees %v, token %d; want 1 2 3 and %d", n.o.Name, ids(st), st.GetTerm(), before.GetTerm())
		}
		if _, err := os.Stat(n.n.lastRingPath()); err == nil {
			t.Errorf("%s gave its membership up", n.o.Name)
		}
	}
}
