package election

import (
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// ringOfFour is a leader's view of four voters at 10 s.
func ringOfFour(t *testing.T) *Node {
	t.Helper()
	settings, err := ring.ProfileSettings(ring.DefaultProfile)
	if err != nil {
		t.Fatal(err)
	}
	s := &ring.State{Cluster: "c", RingID: "r", Settings: settings, Epoch: 12, HighestID: 9}
	for id := range uint64(4) {
		s.Members = append(s.Members, ring.Member{ID: id + 1, Name: "n" + string(rune('1'+id)), Incarnation: 10 + id, Addresses: []string{"a"}})
	}
	n := assemble(Config{ID: 1}, s, Instant(10*time.Second))
	n.role = raft.StateLeader
	n.term = 4
	n.conf = &raftpb.ConfState{Voters: []uint64{1, 2, 3, 4}}
	n.leadership.lead = &leading{}
	return n
}

// A probe of an heir, begun for a suspicion, ends without an answer while a
// newer one is under way. The newer one has not failed by that.
func TestAnOlderProbesSilenceIsNotTheNewerOnes(t *testing.T) {
	n := ringOfFour(t)
	asked := n.now.Add(-10 * time.Millisecond)
	n.leadership.lead.followers.Ensure(2).nextProbe = asked.Add(2 * n.probeTimeout())
	n.roster.peers.Ensure(2).heard = n.now.Add(-50 * time.Millisecond)
	n.leader.caretaker.heirProbed(ProbeResult{Of: Probe{Wanted: ring.Wanted{ID: 2, Incarnation: 11}, Asked: n.now.Add(-n.probeTimeout())}, Outcome: Unanswered})
	if x := n.leadership.lead.followers.Value(2).noAnswer; n.roster.peers.Value(2).heard <= x.at {
		t.Errorf("heard at %v, the silence is counted from %v on", n.roster.peers.Value(2).heard, x.at)
	}
	n.now = n.now.Add(n.probeTimeout())
	n.leader.caretaker.heirProbed(ProbeResult{Of: Probe{Wanted: ring.Wanted{ID: 2, Incarnation: 11}, Asked: asked}, Outcome: Unanswered})
	if x := n.leadership.lead.followers.Value(2).noAnswer; n.roster.peers.Value(2).heard > x.at {
		t.Errorf("heard at %v, the silence of the newer probe is counted from %v on", n.roster.peers.Value(2).heard, x.at)
	}
}

// What a probe found is no effect: it must not compile to emit it in place of another
// probe.
func TestAProbesResultIsNoEffect(t *testing.T) {
	if _, is := any(ProbeResult{}).(Effect); is {
		t.Error("a ProbeResult can be emitted")
	}
}

// A leader that is cut off, or whose voters are dying, changes nothing in the
// ring: its successor would have to commit that.
func TestALeaderOutOfTouchEvictsNobody(t *testing.T) {
	for name, tt := range map[string]struct {
		heard   []uint64 // within a lease
		suspect uint64
		want    bool
	}{
		"two of three others": {[]uint64{2, 3}, 0, true},
		"one":                 {[]uint64{2}, 0, false},
		"one is thought dead": {[]uint64{2, 3}, 3, false},
		"nobody":              {nil, 0, false},
	} {
		n := ringOfFour(t)
		for _, id := range tt.heard {
			n.roster.peers.Ensure(id).heard = n.now.Add(-n.ring.Settings.Lease() / 2)
		}
		n.roster.peers.Ensure(4).heard = n.now.Add(-n.ring.Settings.Lease())
		if tt.suspect != 0 {
			n.roster.peers.Ensure(tt.suspect).suspect = &suspect{Opinion: ring.Opinion{ID: tt.suspect, Incarnation: 9 + tt.suspect, Word: ring.Suspect{Evidence: ring.Silent}}, probing: n.now, found: ring.Silent, probed: true}
		}
		if got := n.roster.inTouch(); got != tt.want {
			t.Errorf("%s: in touch %v, want %v", name, got, tt.want)
		}
	}
}

// Whom raft still counts has to be answered by a joiner too, which knows the
// ring by a snapshot alone.
func TestASnapshotNamesFormerMembersThatAreStillNeeded(t *testing.T) {
	n := ringOfFour(t)
	*n.gone.Ensure(9) = ring.Member{ID: 9, Name: "n9"}
	joiner := assemble(Config{ID: 5}, &ring.State{}, 0)
	if err := joiner.restore(&raftpb.Snapshot{Data: n.snapshot(), Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(20)), Term: new(uint64(3)), ConfState: n.conf}}); err != nil {
		t.Fatal(err)
	}
	if !joiner.needed(9) {
		t.Error("the joiner takes member 9 for one that nobody needs")
	}
}

// A former member whose vote may be needed is certified dead by its own monitor alone.
func TestACertificateOfAFormerMemberBearsItsName(t *testing.T) {
	for name, free := range map[string]bool{"n2": false, "n9": true} {
		n := ringOfFour(t)
		*n.gone.Ensure(9) = ring.Member{ID: 9, Name: "n9", Incarnation: 19}
		n.promises.promise = promise{Renew: Renew{Term: 4, Incarnation: 19}, to: 9, until: n.now.Add(time.Second)}
		n.verdicts.certified(Certificate{Name: name, ID: 9, Incarnation: 19})
		if n.promises.free() != free {
			t.Errorf("certified dead as %s: free is %v", name, !free)
		}
	}
}

// An appointment may be in the log of a member that was just elected. It waits
// for no heir before it knows who that is.
func TestACaretakerFirstKnowsWhoTheHeirIs(t *testing.T) {
	for term, want := range map[uint64]bool{3: false, 4: true} {
		n := ringOfFour(t)
		if err := n.store.Append([]*raftpb.Entry{{Index: new(uint64(1)), Term: new(term)}}); err != nil {
			t.Fatal(err)
		}
		n.applied = 1
		n.leader.caretaker.takeCare(n.ring.Members[1], nil)
		if got := n.leadership.lead.caretaking.since != 0; got != want {
			t.Errorf("applied an entry of term %d in term 4: waits for the heir %v, want %v", term, got, want)
		}
	}
}

// A snapshot that is under way to the disk may record another process of a member.
// Its former process is not believed any more by then.
func TestASnapshotOnItsWayRecordsReturns(t *testing.T) {
	n := ringOfFour(t)
	next := *n.ring
	next.Members = slices.Clone(n.ring.Members)
	next.Members[1].Incarnation = 99
	sender := assemble(Config{ID: 3}, &next, 0)
	n.identity.noteSnapshot(&raftpb.Snapshot{Data: sender.snapshot(), Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(20)), Term: new(uint64(3)), ConfState: n.conf}})
	if !n.identity.replacedInLog(2, 11) || n.identity.replacedInLog(2, 99) || n.identity.replacedInLog(3, 12) {
		t.Error("the snapshot records process 99 of member 2, and that alone")
	}
}

// A renewal that was late on its way says nothing of a vote that was asked for just
// now. One that comes much later does: the leader goes on.
func TestALateRenewalDropsNoVote(t *testing.T) {
	n := ringOfFour(t)
	n.role, n.leadership.lead, n.raftLead = raft.StateFollower, nil, 2
	lease, every := n.ring.Settings.Lease(), n.ring.Settings.RenewEvery()
	n.promises.bound = lease
	n.promises.held = []heldVote{{at: n.now}}
	n.following.renewed(2, Renew{Term: n.term, Seq: 1, Incarnation: 11, Lease: lease})
	if len(n.promises.held) != 1 {
		t.Error("a renewal that came right after a vote drops it")
	}
	n.now = n.now.Add(every)
	n.following.renewed(2, Renew{Term: n.term, Seq: 2, Incarnation: 11, Lease: lease})
	if len(n.promises.held) != 0 {
		t.Error("a vote is held although the leader goes on")
	}
}

// The members that alone can elect a leader are named.
func TestTheOnlyVoterIsNamed(t *testing.T) {
	n := assemble(Config{ID: 2}, &ring.State{Members: []ring.Member{{ID: 1, Name: "n1"}}}, 0)
	for want, voters := range map[string][]uint64{"the only voter is n1": {1}, "2 of 3 voters are needed": {1, 2, 3}} {
		n.conf = &raftpb.ConfState{Voters: voters}
		if got := n.status.majorityText(); got != want {
			t.Errorf("%v: %q, want %q", voters, got, want)
		}
	}
}

// One path of a probe is refused at once, and another one takes its time. Meanwhile
// the member is back in another process, and speaks: it is looked for again.
func TestARefusalFromBeforeAMembersWordIsLookedAtAgain(t *testing.T) {
	m := ring.Member{ID: 2, Name: "n2", Incarnation: 11, Addresses: []string{"n2:7400"}}
	const asked = time.Minute
	for spoke, again := range map[Instant]bool{Instant(asked - time.Second): false, Instant(asked + time.Millisecond): true} {
		n := assemble(Config{ID: 1}, &ring.State{Settings: ring.Settings{LeaseMS: 500}, Members: []ring.Member{m}}, Instant(asked+200*time.Millisecond))
		n.roster.peers.Ensure(2).claim = &claim{incarnation: 12, heard: spoke}
		r := ProbeResult{Of: Probe{Wanted: ring.Wanted{ID: 2, Incarnation: 11}, Asked: Instant(asked), Addresses: m.Addresses}, Outcome: NobodyListens}
		if got := n.verdicts.lookAgain(r); got != again {
			t.Errorf("a process that spoke %v after the probe began: looked at again %v", spoke.Add(-asked), got)
		}
	}
}
