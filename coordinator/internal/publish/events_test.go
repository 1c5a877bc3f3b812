package publish

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/mono"
	"github.com/arc-ring/arc/ring"
)

func profileOf(t *testing.T, name string) ring.Settings {
	t.Helper()
	s, err := ring.ProfileSettings(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testEvents() Events {
	return Events{Name: "n1", Wall: func() time.Time { return time.UnixMicro(1_700_000_000_000_000) }, MonitorMissing: func() string { return "" }}
}

func testState(t *testing.T) *ring.State {
	t.Helper()
	s := &ring.State{}
	apply := func(term uint64, c ring.Command) {
		t.Helper()
		if _, err := s.Apply(term, c); err != nil {
			t.Fatal(err)
		}
	}
	apply(0, ring.Command{Found: &ring.Found{Cluster: "c", RingID: "r", Settings: profileOf(t, "lan"),
		Founder: ring.Member{Name: "n1", Incarnation: 1<<63 + 1, Addresses: []string{"127.0.0.1:1"}}}})
	apply(7, ring.Command{Declare: &ring.Declare{Term: 7, ID: 1, Incarnation: 1<<63 + 1, Since: 1_700_000_000_000_000, Why: "first leader of the ring"}})
	apply(7, ring.Command{Join: &ring.Join{Member: ring.Member{Name: "n2", Incarnation: 2, Addresses: []string{"127.0.0.1:2"}}}})
	return s
}

func testView(t *testing.T) *View {
	return &View{Phase: Member, ID: 1, RingID: "r", Ring: testState(t), ClaimTerm: 7, ClaimEnd: mono.Instant(500 * time.Millisecond), LeaderEnd: mono.Instant(500 * time.Millisecond),
		Status: election.Status{Term: 7, Leader: 1, Declared: true, Reason: "this node leads, token 7", Voters: []uint64{1}, Suspects: []uint64{2}}}
}

func TestStatusToWire(t *testing.T) {
	v := testView(t)
	r := testEvents().Status(v, mono.Instant(100*time.Millisecond))
	if r.GetLeader().GetName() != "n1" || !r.GetClaiming() || r.GetLeaseMs() != 400 || r.GetHeir() != "n2" || r.GetTerm() != 7 ||
		r.GetEpoch() != 3 || r.GetSelfId() != 1 || r.GetPhase() != "member" || r.GetVotesNeeded() != 1 || r.GetStateHash() != v.Ring.Hash() {
		t.Errorf("status is %v", r)
	}
	n2 := r.GetMembers()[1]
	if n2.GetMonitors() != "n1" || n2.GetAlive() || n2.GetVoter() || !r.GetMembers()[0].GetVoter() {
		t.Errorf("n2 is %v", n2)
	}
	if r := testEvents().Status(v, mono.Instant(500*time.Millisecond)); r.GetClaiming() || r.GetLeaseMs() != 0 || r.GetLeader() != nil {
		t.Errorf("at the end of its lease it claims for %v ms, and says that %v leads", r.GetLeaseMs(), r.GetLeader())
	}
	v.Status.Declared = false
	if r := testEvents().Status(v, 0); r.GetLeader() != nil {
		t.Errorf("a caretaker is told as leader %v", r.GetLeader())
	}
	empty := testEvents().Status(&View{Phase: Joining, Ring: &ring.State{}}, 0)
	if empty.GetReason() == "" || empty.GetLeader() != nil || empty.GetStateHash() != "" {
		t.Errorf("a joiner's status is %v", empty)
	}
}

// A member is alive if nothing speaks against it; else the strongest of what does is told.
func TestTheStateOfAMember(t *testing.T) {
	for state, s := range map[string]election.Status{
		"alive":   {Suspects: []uint64{3}, Dead: []uint64{3}, Unheard: []uint64{3}},
		"unheard": {Unheard: []uint64{3, 2}},
		"suspect": {Suspects: []uint64{2}, Unheard: []uint64{2}},
		"dead":    {Dead: []uint64{2}, Suspects: []uint64{2}, Unheard: []uint64{2}},
	} {
		v := testView(t)
		v.Status = s
		if m := MembersToWire(v)[1]; m.GetState() != state || m.GetAlive() != (state == "alive") {
			t.Errorf("n2 is %q, alive %v; want %s", m.GetState(), m.GetAlive(), state)
		}
	}
}

func TestSnapshotIsTheStatus(t *testing.T) {
	v := testView(t)
	events := testEvents()
	events.Cluster, events.Version = "c", "v"
	st, e := events.Status(v, 0), events.Snapshot(v, 0)
	if st.GetSelf() != "n1" || st.GetCluster() != "c" || st.GetVersion() != "v" {
		t.Errorf("the status says that it is of %v", st)
	}
	if !proto.Equal(e.GetSnapshot(), st) {
		t.Errorf("detail %v\nwant %v", e.GetSnapshot(), st)
	}
	if e.GetEpoch() != 3 || e.GetTerm() != 7 || e.GetNode() != "n1" {
		t.Errorf("event is %v", e)
	}
}

func TestLeaderDeclaredDetail(t *testing.T) {
	s := testState(t)
	l := ring.Leadership{Term: 9, Name: "n2", ID: 2, Since: 1_700_000_000_000_000, Why: "lowest id", Gap: 12_345, Evidence: ring.Certified, SeenBy: "n1", After: "n1",
		Phases: ring.Phases{PromisesEnded: 3, Campaign: 4, Elected: 1_800}}
	events := testEvents().Changes(s, []ring.Change{
		{Kind: ring.Evicted, Member: ring.Member{ID: 1, Name: "n1"}, Evidence: ring.Certified, By: 2},
		{Kind: ring.LeaderDeclared, Member: ring.Member{ID: 2, Name: "n2"}, Leadership: &l},
		{Kind: ring.Appointed},
	})
	if len(events) != 2 {
		t.Fatalf("%d events, want the eviction and the declaration", len(events))
	}
	d := events[1].GetLeaderDeclared()
	if d.GetWhy() != "lowest id" || d.GetGapMs() != 12.345 || d.GetEvidence() != "certified" || d.GetAfter() != "n1" || d.GetTerm() != 9 || d.GetSeenBy() != "n1" {
		t.Errorf("detail is %v", d)
	}
	if p := d.GetPhases(); p.GetCampaignUs() != 4 || p.GetElectedUs() != 1800 || p.GetFirstClaimUs() != 0 {
		t.Errorf("phases %v", p)
	}
	claim := testEvents().Claim(s, election.ClaimChanged{Claiming: true, Term: 9, Phases: ring.Phases{Elected: 1_800, Declared: 2_500, FirstClaim: 2_700}})
	if p := claim.GetClaimGained().GetPhases(); p.GetDeclaredUs() != 2500 || p.GetFirstClaimUs() != 2700 {
		t.Errorf("claim_gained has phases %v", p)
	}
	again := testEvents().Claim(s, election.ClaimChanged{Claiming: true, Term: 9})
	if again.GetClaimGained() == nil || again.GetClaimGained().GetPhases() != nil {
		t.Error("a later claim of the same leader has phases")
	}
}

// With a certificate the member itself is named: its own monitor wrote it.
func TestWhoSawAnEvictedMember(t *testing.T) {
	for evidence, want := range map[ring.Evidence]string{ring.Silent: "n2", ring.Operator: "n2", ring.Certified: "n1"} {
		c := ring.Change{Kind: ring.Evicted, Member: ring.Member{ID: 1, Name: "n1"}, Evidence: evidence}
		if evidence != ring.Certified {
			c.By = 2
		}
		if by := testEvents().Changes(testState(t), []ring.Change{c})[0].GetEvicted().GetBy(); by != want {
			t.Errorf("%s: evicted by %q, want %q", evidence, by, want)
		}
	}
}

func TestMissed(t *testing.T) {
	old := testState(t)
	now := old.Clone()
	for _, c := range []struct {
		term uint64
		c    ring.Command
	}{
		{8, ring.Command{Declare: &ring.Declare{Term: 8, ID: 2, Incarnation: 5, Evict: []ring.Evict{{ID: 1, Evidence: ring.Silent}}}}},
		{8, ring.Command{Join: &ring.Join{Member: ring.Member{Name: "n3", Incarnation: 3, Addresses: []string{"127.0.0.1:3"}}}}},
		{9, ring.Command{Declare: &ring.Declare{Term: 9, ID: 2, Incarnation: 5}}},
	} {
		if _, err := now.Apply(c.term, c.c); err != nil {
			t.Fatal(err)
		}
	}
	kinds := func(cs []ring.Change) (out []ring.ChangeKind) {
		for _, c := range cs {
			out = append(out, c.Kind)
		}
		return out
	}
	want := []ring.ChangeKind{ring.Evicted, ring.Returned, ring.Joined, ring.LeaderDeclared, ring.LeaderDeclared}
	if got := kinds(Missed(old, now)); !slices.Equal(got, want) {
		t.Errorf("missed %v, want %v", got, want)
	}
	want = []ring.ChangeKind{ring.Joined, ring.Joined, ring.LeaderDeclared}
	if got := kinds(Missed(&ring.State{}, now)); !slices.Equal(got, want) {
		t.Errorf("from nothing, missed %v, want %v", got, want)
	}
	if got := Missed(now, now); len(got) != 0 {
		t.Errorf("nothing happened, missed %v", got)
	}
}

func TestHistoryLimit(t *testing.T) {
	s := &ring.State{History: []ring.Leadership{{Term: 1}, {Term: 2}, {Term: 3}}}
	for limit, want := range map[uint32][]uint64{0: {1, 2, 3}, 2: {2, 3}, 9: {1, 2, 3}, 1 << 31: {1, 2, 3}} {
		var got []uint64
		for _, e := range HistoryToWire(s, limit) {
			got = append(got, e.GetTerm())
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
}
