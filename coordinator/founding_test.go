package coordinator

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/arc-ring/arc/discovery"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/limits"
	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// The machine that founded the ring has lost its disk, and is started as it
// always is.
func TestABootstrapWithALostDiskJoinsTheRingThatLives(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	before := nodes[1].awaitLeader("n1", 3)
	nodes[0].crash()
	nodes[1].await("a leader without n1", func(st *arcv1.StatusResponse) bool {
		return st.GetLeader() != nil && st.GetTerm() > before.GetTerm()
	})
	o := nodes[0].o
	o.DataDir = filepath.Join(t.TempDir(), "new")
	o.Join = []string{nodes[1].address(), nodes[2].address()}
	back := start(t, o)
	st := back.await("the ring again", func(st *arcv1.StatusResponse) bool { return st.GetLeader() != nil })
	if st.GetRingId() != before.GetRingId() {
		t.Errorf("n1 is in ring %s, want %s", st.GetRingId(), before.GetRingId())
	}
}

// A ring without a leader is a ring too.
func TestABootstrapFoundsNothingBesideARingWithoutALeader(t *testing.T) {
	nodes := startRing(t, "n1", "n2", "n3")
	before := nodes[2].awaitLeader("n1", 3)
	nodes[0].crash()
	nodes[1].crash()
	o := nodes[0].o
	o.DataDir = filepath.Join(t.TempDir(), "new")
	o.Join = []string{nodes[2].address()}
	back := start(t, o)
	if there, err := (&joiner{n: back.n}).ringThere(back.ctx()); err != nil || !there {
		t.Errorf("the ring of n3 is there: %v, %v", there, err)
	}
	if st := back.status(); st.GetRingId() != "" && st.GetRingId() != before.GetRingId() {
		t.Errorf("founded ring %s", st.GetRingId())
	}
	nodes[1].again()
	st := back.await("the ring again", func(st *arcv1.StatusResponse) bool { return st.GetLeader() != nil })
	if st.GetRingId() != before.GetRingId() {
		t.Errorf("n1 is in ring %s, want %s", st.GetRingId(), before.GetRingId())
	}
}

func TestABootstrapThatReachesNobodyFounds(t *testing.T) {
	o := testOptions(t, "n1")
	o.Bootstrap, o.Join = true, []string{"127.0.0.1:1"}
	n := start(t, o)
	n.awaitLeader("n1", 1)
}

func TestAsManyFoundersVoteAsDiscoveryCounts(t *testing.T) {
	s, err := ring.ProfileSettings(ring.DefaultProfile)
	if err != nil || s.MaxVoters != discovery.FoundingVoters {
		t.Errorf("%d members vote in a new ring (%v), discovery counts with %d", s.MaxVoters, err, discovery.FoundingVoters)
	}
}

func TestAnotherRingIsTold(t *testing.T) {
	o := testOptions(t, "n1")
	o.Bootstrap = true
	n := start(t, o)
	n.awaitLeader("n1", 1)
	stream, err := n.client.Watch(n.ctx(), &arcv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // the snapshot
		t.Fatal(err)
	}
	n.n.heardOtherRing(&arcv1.OtherRing{RingId: "r2", From: "x1", Addresses: []string{"10.0.0.9:7400"}, Leader: "x2"})
	if e, err := stream.Recv(); err != nil || e.GetEvent().GetOtherRing() == nil || e.GetEvent().GetNode() != "x1" {
		t.Errorf("the watcher got %v, %v", e, err)
	}
	st := n.status()
	if len(st.GetOtherRings()) != 1 || st.GetOtherRings()[0].GetRingId() != "r2" || st.GetOtherRings()[0].GetLeader() != "x2" {
		t.Errorf("status lists %v, want r2", st.GetOtherRings())
	}
	own := n.status().GetRingId()
	n.n.heardOtherRing(&arcv1.OtherRing{RingId: own, Split: "founded again", From: "x3"})
	if e, err := stream.Recv(); err != nil || e.GetEvent().GetOtherRing() == nil || e.GetEvent().GetNode() != "x3" {
		t.Errorf("of a ring with the own id the watcher got %v, %v", e, err)
	}
	st = n.status()
	if len(st.GetOtherRings()) != 2 || st.GetOtherRings()[0].GetSplit()+st.GetOtherRings()[1].GetSplit() != "founded again" {
		t.Errorf("status lists %v, want one with the own id too", st.GetOtherRings())
	}
	if left := n.n.foreign.list(time.Now().Add(2*durations.OtherRing), "r1"); len(left) != 0 {
		t.Errorf("still lists %v", left)
	}
}

// Anybody can make up the ids of rings: what is told of them stays bounded.
func TestManyOtherRingsAreNotAllTold(t *testing.T) {
	o, now, told := &otherRings{heard: map[string]otherRing{}}, time.Unix(1_700_000_000, 0), 0
	hear := func(id string) {
		if o.hear(now, &arcv1.OtherRing{RingId: id}) {
			told++
		}
	}
	for i := range 10 * limits.OtherRings {
		hear(fmt.Sprint("forged", i))
	}
	if n := len(o.heard); told != limits.OtherRings || n != limits.OtherRings {
		t.Errorf("%d rings told, %d kept, want %d", told, n, limits.OtherRings)
	}
	now = now.Add(durations.OtherRing + time.Second)
	hear("r2")
	if got := o.list(now, "r1"); told != limits.OtherRings+1 || len(got) != 1 || got[0].GetRingId() != "r2" {
		t.Errorf("%d rings told, listed %v, want r2 when the others are silent", told, got)
	}
}
