package election

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/ring"
)

// fourMembers is a state in which the ids 1 to 4 were admitted.
func fourMembers(t testing.TB) *ring.State {
	t.Helper()
	settings, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	s := &ring.State{}
	founder := ring.Member{Name: "a", Incarnation: 5, Addresses: []string{"a:1"}}
	commands := []ring.Command{{Found: &ring.Found{Cluster: "c", RingID: "r", Founder: founder, Settings: settings}}}
	for _, name := range []string{"b", "c", "d"} {
		commands = append(commands, ring.Command{Join: &ring.Join{Member: ring.Member{Name: name, Incarnation: 5, Addresses: []string{name + ":1"}}}})
	}
	for _, c := range commands {
		if _, err := s.Apply(0, c); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// record is what the disk of member 1 of such a ring holds.
func record(t testing.TB, edit func(*Recovered)) Recovered {
	conf := &raftpb.ConfState{Voters: []uint64{1, 2}, VotersOutgoing: []uint64{1, 2, 3}, Learners: []uint64{4}}
	rec := Recovered{
		HardState: &raftpb.HardState{Term: new(uint64(6)), Vote: new(uint64(0)), Commit: new(uint64(9))},
		Snapshot: &raftpb.Snapshot{Data: fourMembers(t).Snapshot(),
			Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(9)), Term: new(uint64(6)), ConfState: conf}},
		Entries:   []*raftpb.Entry{{Index: new(uint64(10)), Term: new(uint64(6))}, {Index: new(uint64(11)), Term: new(uint64(6))}},
		Restarted: true,
	}
	edit(&rec)
	return rec
}

func startOn(rec Recovered) (*Node, error) {
	return New(Config{ID: 1, Incarnation: 6, Addresses: []string{"a:2"}, Rand: func() uint64 { return 1 }, Wall: func() int64 { return 1 }}, rec, 0)
}

// A disk that holds what no ring has is refused at the start with one error,
// which says what.
func TestStartRefusesNonsense(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*Recovered)
		says string // "": it starts
	}{
		{"sound", func(*Recovered) {}, ""},
		{"a long promise", func(r *Recovered) { r.Bound = time.Hour }, ""},
		{"term", func(r *Recovered) { r.HardState.Term = new(uint64(math.MaxUint64)) }, "term 18446744073709551615, no term is above 8589934591"},
		{"commit", func(r *Recovered) { r.HardState.Commit = new(uint64(1 << 50)) }, "commit index 1125899906842624"},
		{"snapshot term", func(r *Recovered) { r.Snapshot.Metadata.Term = new(uint64(MaxTerm + 1)) }, "index 9 of term 8589934592"},
		{"snapshot index", func(r *Recovered) { r.Snapshot.Metadata.Index = new(uint64(IndexLimit)) }, "index 1099511627776"},
		{"snapshot before its epoch", func(r *Recovered) { r.Snapshot.Metadata.Index = new(uint64(3)); r.Entries = nil }, "epoch 4 of token 0 in a snapshot at index 3"},
		{"no voters", func(r *Recovered) { r.Snapshot.Metadata.ConfState = &raftpb.ConfState{} }, "0 voters"},
		{"a voter twice", func(r *Recovered) { r.Snapshot.Metadata.ConfState.Voters = []uint64{1, 2, 2} }, "twice"},
		{"a voter that learns", func(r *Recovered) {
			r.Snapshot.Metadata.ConfState = &raftpb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{2}}
		}, "configuration"},
		{"a voter that was never admitted", func(r *Recovered) { r.Snapshot.Metadata.ConfState.Learners = []uint64{1 << 40} }, "highest id is 4"},
		{"entry term", func(r *Recovered) { r.Entries[1].Term = new(uint64(MaxTerm + 1)) }, "entry 11 of term 8589934592"},
		{"entries that do not follow", func(r *Recovered) { r.Entries[1].Index = new(uint64(13)) }, "entry 13 of term 6 follows entry 10"},
		{"entry type", func(r *Recovered) { r.Entries[1].Type = raftpb.EntryType(7).Enum() }, "entry of type 7"},
		{"entry data", func(r *Recovered) { r.Entries[1].Data = []byte(`{"newer":{}}`) }, `entry 11 of term 6 cannot be read: decode ring command: json: unknown field "newer"`},
		{"entry conf", func(r *Recovered) {
			r.Entries[1].Type, r.Entries[1].Data = raftpb.EntryConfChangeV2.Enum(), []byte{0xff}
		}, "decode configuration change"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n, err := startOn(record(t, tc.edit))
			switch {
			case tc.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.says == "" && n.promises.bound > ring.LongestLease:
				t.Errorf("it waits %v", n.promises.bound)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("error %v, want one with %q", err, tc.says)
			}
		})
	}
}

func confEntry(t testing.TB, changes ...*raftpb.ConfChangeSingle) *raftpb.Entry {
	t.Helper()
	data, err := proto.Marshal(&raftpb.ConfChangeV2{Changes: changes})
	if err != nil {
		t.Fatal(err)
	}
	return &raftpb.Entry{Index: new(uint64(12)), Term: new(uint64(6)), Type: raftpb.EntryConfChangeV2.Enum(), Data: data}
}

func confChange(kind raftpb.ConfChangeType, id uint64) *raftpb.ConfChangeSingle {
	return &raftpb.ConfChangeSingle{Type: kind.Enum(), NodeId: new(id)}
}

func TestConfChangesThatCannotBe(t *testing.T) {
	many := make([]*raftpb.ConfChangeSingle, maxConfChanges+1)
	for i := range many {
		many[i] = confChange(raftpb.ConfChangeAddLearnerNode, uint64(i+1))
	}
	for name, e := range map[string]*raftpb.Entry{
		"too many":         confEntry(t, many...),
		"of nobody":        confEntry(t, confChange(raftpb.ConfChangeAddNode, 0)),
		"of no known kind": confEntry(t, confChange(raftpb.ConfChangeType(9), 1)),
	} {
		if _, err := plausibleEntry(e); !errors.Is(err, errImplausible) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Raft would panic at these when they are applied.
	n, err := startOn(record(t, func(r *Recovered) { r.Snapshot.Metadata.ConfState = &raftpb.ConfState{Voters: []uint64{1, 2}} }))
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]*raftpb.Entry{
		"nobody is left":  confEntry(t, confChange(raftpb.ConfChangeRemoveNode, 1), confChange(raftpb.ConfChangeRemoveNode, 2)),
		"no joint to end": confEntry(t),
		"never admitted":  confEntry(t, confChange(raftpb.ConfChangeAddNode, 5)),
	} {
		if _, err := plausibleEntry(e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		before := proto.Clone(n.conf)
		n.applier.applyConf(e)
		if !proto.Equal(before, n.conf) {
			t.Errorf("%s: the configuration became %v", name, n.conf)
		}
	}
	n.applier.applyConf(confEntry(t, confChange(raftpb.ConfChangeAddLearnerNode, 4)))
	if len(n.conf.GetLearners()) != 1 {
		t.Errorf("a good change is not applied: %v", n.conf)
	}
}

// A term that no election and no clock can have led to is not taken, however it
// comes; raft would write it down before it answers.
func TestTermsOutOfReach(t *testing.T) {
	for _, tc := range []struct {
		own, term uint64
		ok        bool
	}{
		{0, 1_790_000_000, true}, {0, MaxTerm, true}, {0, MaxTerm + 1, false},
		{100, maxWall, true}, {100, maxWall + 1, false}, // founded in 1970, and then the clock was set
		{1_790_000_000, 1_790_000_001, true}, {1_790_000_000, maxWall, true}, {1_790_000_000, maxWall + 1, false}, {1_790_000_000, MaxTerm, false},
		{maxWall, maxWall + 1, true}, {maxWall, maxWall + maxTermAhead, true}, {maxWall, maxWall + maxTermAhead + 1, false},
		{MaxTerm - 5, MaxTerm, true}, {MaxTerm, MaxTerm + 1, false},
	} {
		n := assemble(Config{}, &ring.State{}, 0)
		n.term = tc.own
		if err := n.plausibleTerm(tc.term); (err == nil) != tc.ok {
			t.Errorf("own term %d, term %d: %v", tc.own, tc.term, err)
		}
	}
}

// A certificate names the member of the id as the ring does, or it counts
// nothing: nobody's monitor wrote it.
func TestACertificateNamesItsMember(t *testing.T) {
	for name, want := range map[string]bool{"b": true, "c": false, "": false, "B": false} {
		n, err := startOn(record(t, func(*Recovered) {}))
		if err != nil {
			t.Fatal(err)
		}
		n.Certify(0, Certificate{Name: name, ID: 2, Incarnation: 5, Exit: "gone"})
		if dead := n.roster.peers.Value(2).cert != nil; dead != want {
			t.Errorf("a certificate for member 2, which is b, under the name %q: certified dead %v, want %v", name, dead, want)
		}
	}
}
