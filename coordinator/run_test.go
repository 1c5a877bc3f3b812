package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/coordinator/internal/reason"
	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/membership"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// startRing starts a ring of the named nodes; the first founds it.
func startRing(t *testing.T, names ...string) []*testNode {
	t.Helper()
	var nodes []*testNode
	for i, name := range names {
		o := testOptions(t, name)
		if i == 0 {
			o.Bootstrap = true
		} else {
			o.Join = []string{nodes[0].address()}
		}
		nodes = append(nodes, start(t, o))
		nodes[0].awaitLeader(names[0], i+1)
	}
	for _, n := range nodes {
		n.awaitLeader(names[0], len(names))
	}
	nodes[0].await("all vote", func(st *arcv1.StatusResponse) bool {
		return st.GetClaiming() && !slices.ContainsFunc(st.GetMembers(), func(m *arcv1.MemberStatus) bool { return !m.GetVoter() })
	})
	return nodes
}

func ids(st *arcv1.StatusResponse) []uint64 {
	var out []uint64
	for _, m := range st.GetMembers() {
		out = append(out, m.GetId())
	}
	return out
}

func TestThreeElectFailOverAndTakeBack(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	before := nodes[0].status()
	began := time.Now()
	nodes[0].crash()
	st := nodes[1].awaitLeader("n2", 2)
	t.Logf("n2 leads %v after the crash", time.Since(began))
	if st.GetTerm() <= before.GetTerm() {
		t.Errorf("token %d after %d, want a higher one", st.GetTerm(), before.GetTerm())
	}
	nodes[2].awaitLeader("n2", 2)
	nodes[2].await("the figures of the failover", func(*arcv1.StatusResponse) bool { return lastLeadership(t, nodes[2]).GetPhases().GetFirstClaimUs() > 0 })
	e := lastLeadership(t, nodes[2])
	if p := e.GetPhases(); e.GetAfter() != "n1" || e.GetEvidence() == "" || e.GetSeenBy() == "" || p.GetCampaignUs() < p.GetPromisesEndedUs() ||
		p.GetElectedUs() <= p.GetCampaignUs() || p.GetDeclaredUs() <= p.GetElectedUs() || p.GetFirstClaimUs() < p.GetDeclaredUs() {
		t.Errorf("n3 explains the failover as %v", e)
	}
	if mine := lastLeadership(t, nodes[1]); !proto.Equal(mine, e) {
		t.Errorf("n2 tells %v, n3 %v", mine, e)
	}

	// It finds out that it was evicted, and comes back at the tail.
	back := nodes[0].again()
	st = back.awaitLeader("n2", 3)
	if got := ids(st); !slices.Equal(got, []uint64{2, 3, 4}) {
		t.Errorf("members %v, want 2 3 4", got)
	}
	if st.GetSelfId() != 4 || st.GetHeir() != "n1" {
		t.Errorf("self %d, heir %q; want 4, and n1 as a former leader", st.GetSelfId(), st.GetHeir())
	}
	nodes[1].await("the same state", func(other *arcv1.StatusResponse) bool {
		mine := back.status()
		return other.GetEpoch() == mine.GetEpoch() && other.GetStateHash() == mine.GetStateHash()
	})
}

func TestOrderlyStopLeavesAndTheLastStays(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	ringID := nodes[0].status().GetRingId()
	began := time.Now()
	if err := nodes[0].stop(); err != nil {
		t.Fatalf("stop of the leader: %v", err)
	}
	t.Logf("the leader left in %v", time.Since(began))
	if d := time.Since(began); d > durations.Stop {
		t.Errorf("stop took %v, want at most %v", d, durations.Stop)
	}
	st := nodes[1].awaitLeader("n2", 2)
	if e := lastLeadership(t, nodes[1]); e.GetEvidence() != "" || e.GetAfter() != "n1" {
		t.Errorf("history ends with %v, want a planned change after n1", e)
	}
	if err := nodes[2].stop(); err != nil {
		t.Fatalf("stop of a follower: %v", err)
	}
	nodes[1].awaitLeader("n2", 1)
	if err := nodes[1].stop(); err != nil {
		t.Fatalf("stop of the last: %v", err)
	}

	last := nodes[1].again()
	again := last.awaitLeader("n2", 1)
	if again.GetRingId() != ringID || again.GetTerm() <= st.GetTerm() || again.GetSelfId() != 2 {
		t.Errorf("after the restart: ring %s id %d token %d, want ring %s id 2 and a token above %d",
			again.GetRingId(), again.GetSelfId(), again.GetTerm(), ringID, st.GetTerm())
	}
	// The founder left the ring: although it is started with --bootstrap, it
	// must not found another.
	founder := nodes[0].again()
	if st := founder.awaitLeader("n2", 2); st.GetRingId() != ringID || st.GetSelfId() != 4 {
		t.Errorf("the founder is %d in ring %s, want 4 in %s", st.GetSelfId(), st.GetRingId(), ringID)
	}
}

func lastLeadership(t *testing.T, n *testNode) *arcv1.HistoryEntry {
	t.Helper()
	h, err := n.client.History(n.ctx(), &arcv1.HistoryRequest{Limit: 1})
	if err != nil || len(h.GetEntries()) != 1 {
		t.Fatalf("history: %v, %v", h, err)
	}
	return h.GetEntries()[0]
}

func TestAllCrashAndComeBackFromDisk(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	before := nodes[0].status()
	for _, n := range nodes {
		n.n.stopAs(errCrash)
	}
	for _, n := range nodes {
		n.reap()
	}
	for i, n := range nodes {
		nodes[i] = n.again()
	}
	for _, n := range nodes {
		st := n.await("a leader of the same ring", func(st *arcv1.StatusResponse) bool { return st.GetLeader() != nil && st.GetTerm() > before.GetTerm() })
		if st.GetRingId() != before.GetRingId() || !slices.Equal(ids(st), []uint64{1, 2, 3}) || st.GetLeader().GetName() != "n1" {
			t.Errorf("%s sees ring %s, members %v, leader %s", n.o.Name, st.GetRingId(), ids(st), st.GetLeader().GetName())
		}
	}
}

func TestLeaveHandoverAndEvictByCall(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	ctx := nodes[0].ctx()

	// Asked of a follower, carried out by the leader.
	h, err := nodes[2].client.Handover(ctx, &arcv1.HandoverRequest{Name: "n3"})
	if err != nil || h.GetLeader().GetName() != "n3" || h.GetTerm() <= nodes[0].n.hub.Load().Ring.History[0].Term {
		t.Fatalf("handover to n3: %v, %v", h, err)
	}
	nodes[0].awaitLeader("n3", 3)

	_, err = nodes[0].client.Evict(ctx, &arcv1.EvictRequest{Name: "n3"})
	if status.Code(err) != codes.FailedPrecondition || reason.Of(err) != "IS_LEADER" {
		t.Errorf("evict of the leader: %v, want FailedPrecondition IS_LEADER", err)
	}
	_, err = nodes[0].client.Evict(ctx, &arcv1.EvictRequest{Name: "nobody"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("evict of nobody: %v, want NotFound", err)
	}

	// Evicted while it runs: it comes back under a new id.
	if _, err := nodes[0].client.Evict(ctx, &arcv1.EvictRequest{Name: "n2"}); err != nil {
		t.Fatalf("evict n2: %v", err)
	}
	nodes[1].await("n2 as member 4", func(st *arcv1.StatusResponse) bool { return st.GetSelfId() == 4 && st.GetLeader() != nil })

	// Asked of another one, n1 leaves by itself and ends.
	if _, err := nodes[2].client.Leave(ctx, &arcv1.LeaveRequest{Name: "n1"}); err != nil {
		t.Fatalf("leave n1: %v", err)
	}
	nodes[0].reap()
	if nodes[0].err != nil {
		t.Errorf("n1 ended with %v, want no error", nodes[0].err)
	}
	nodes[2].awaitLeader("n3", 2)
	// The leader too.
	if _, err := nodes[2].client.Leave(ctx, &arcv1.LeaveRequest{}); err != nil {
		t.Fatalf("leave of the leader: %v", err)
	}
	nodes[2].reap()
	nodes[1].awaitLeader("n2", 1)
	const last = "n2 is still in the ring: the last member of a ring does not leave it: stop it instead, its data directory keeps the ring"
	if _, err := nodes[1].client.Leave(ctx, &arcv1.LeaveRequest{}); reason.Of(err) != "LAST_MEMBER" || status.Convert(err).Message() != last {
		t.Errorf("leave of the last: %v, want LAST_MEMBER: %s", err, last)
	}
}

// A leave in vain says what is the case. What to do depends on whether it may pass.
func TestALeaveInVainSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		err      error
		stopping bool
		want     string
	}{
		{fmt.Errorf("%w: needs n2", membership.ErrNoLeader), false, "n1 is still in the ring: no leader: needs n2; leave again later, or stop its coordinator, and the others evict it"},
		{fmt.Errorf("%w: needs n2", membership.ErrNoLeader), true, "n1 is still in the ring: no leader: needs n2"},
		{membership.ErrLastMember, false, "n1 is still in the ring: the last member of a ring does not leave it"},
	} {
		if got := stillIn("n1", c.err, c.stopping); got.Error() != c.want || !errors.Is(got, c.err) {
			t.Errorf("got %v, want %s", got, c.want)
		}
	}
}

// All machines got other addresses while they were off: a restarted member
// that hears nobody asks those that --join names.
func TestAllMoveAndFindOneAnother(t *testing.T) {
	nodes := startRing(t, "n1", "n2")
	before := nodes[0].status()
	for _, n := range nodes {
		n.n.stopAs(errCrash)
	}
	var again []*testNode
	for i, n := range nodes {
		n.reap()
		o := n.o
		if i == 0 {
			o.Bootstrap, o.Join = false, []string{"127.0.0.1:1"}
		} else {
			o.Join = []string{again[0].address()}
		}
		again = append(again, start(t, o))
	}
	for _, n := range again {
		st := n.await("a leader at the new addresses", func(st *arcv1.StatusResponse) bool {
			return st.GetLeader() != nil && st.GetTerm() > before.GetTerm() && st.GetMembers()[1].GetAddresses()[0] == again[1].address()
		})
		if st.GetRingId() != before.GetRingId() || !slices.Equal(ids(st), []uint64{1, 2}) {
			t.Errorf("%s sees ring %s with %v, want %s with 1 2", n.o.Name, st.GetRingId(), ids(st), before.GetRingId())
		}
	}
}

// The ring went on without a member and moved away; it finds that out by
// asking, and joins again.
func TestARestartedMemberFindsTheRingThatMoved(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	nodes[2].crash()
	if _, err := nodes[0].client.Evict(nodes[0].ctx(), &arcv1.EvictRequest{Name: "n3"}); err != nil {
		t.Fatal(err)
	}
	nodes[1].awaitLeader("n1", 2)
	nodes[1].crash()
	o := nodes[1].o
	o.Join = []string{nodes[0].address()}
	moved := start(t, o)
	moved.awaitLeader("n1", 2)
	nodes[0].n.stopAs(errCrash)
	nodes[0].reap()
	o = nodes[0].o
	o.Bootstrap, o.Join = false, []string{moved.address()}
	first := start(t, o)
	st := first.await("a leader of two", func(st *arcv1.StatusResponse) bool { return st.GetLeader() != nil && len(st.GetMembers()) == 2 })

	o = nodes[2].o
	o.Join = []string{first.address()}
	back := start(t, o)
	got := back.await("three members", func(st *arcv1.StatusResponse) bool { return st.GetLeader() != nil && len(st.GetMembers()) == 3 })
	if got.GetRingId() != st.GetRingId() || got.GetSelfId() <= 3 {
		t.Errorf("it is %d in ring %s, want a new id in %s", got.GetSelfId(), got.GetRingId(), st.GetRingId())
	}
}

// A joiner is evicted before it has got anything of the ring, and by the time it
// is there nobody knows where it is: it finds that out by asking those that it
// was told of when it joined, and joins again.
func TestAJoinerThatIsEvictedAtOnceFindsOut(t *testing.T) {
	nodes := startRing(t, "n1", "n2")
	ctx := nodes[0].ctx()
	o := testOptions(t, "n3")
	o.Join = []string{nodes[0].address()}
	n := newNode(o)
	if _, err := n.open(ctx); err != nil {
		n.close()
		t.Fatal(err)
	}
	defer n.close()
	admitted, err := nodes[0].client.Join(ctx, &arcv1.JoinRequest{
		Cluster: o.Cluster, Name: o.Name, Incarnation: n.incarnation, Addresses: []string{"127.0.0.1:1"}, Nonce: 1, LogVersion: ring.LogVersion})
	if err != nil {
		t.Fatal(err)
	}
	e, err := n.joined(admitted)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nodes[0].client.Evict(ctx, &arcv1.EvictRequest{Name: "n3"}); err != nil {
		t.Fatal(err)
	}
	if n.o.Join = nil; len(e.members) == 0 {
		t.Fatal("whoever is admitted is told of nobody")
	}
	began := time.Now()
	life := make(chan error, 1)
	go func() { life <- n.live(ctx, *e) }()
	select {
	case err := <-life:
		if !errors.Is(err, election.ErrRemoved) {
			t.Errorf("the membership ended with %v, want an eviction", err)
		}
		t.Logf("found out after %v", time.Since(began))
	case <-ctx.Done():
		n.stopAs(errCrash)
		<-life
		t.Error("never found out")
	}
}
