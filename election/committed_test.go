package election_test

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// lastChange lets a leave the ring behind with one change of the configuration
// whose fate not all know, and dies. From then on, short learn of no later entry, and
// unsure not that the change is committed.
func (w *world) lastChange(t *testing.T, change func(), short, unsure []string) {
	t.Helper()
	a := w.nodes["a"]
	is := func(id uint64, names []string) bool {
		for _, name := range names {
			if w.nodes[name].id == id {
				return true
			}
		}
		return false
	}
	var index, term uint64
	w.forge = func(m election.Message) *election.Message {
		r := m.Raft
		if r == nil || m.From != a.id || index != 0 && r.GetIndex() < index-1 {
			return nil
		}
		for i, e := range r.GetEntries() {
			var cc raftpb.ConfChangeV2
			if e.GetType() != raftpb.EntryConfChangeV2 || proto.Unmarshal(e.GetData(), &cc) != nil || cc.GetChanges()[0].GetType() == raftpb.ConfChangeAddLearnerNode {
				continue // a new learner votes as little as before
			}
			if index == 0 {
				index, term = e.GetIndex(), e.GetTerm()
				w.after(0, func() { // one more entry, before anybody has answered
					s := a.n.State().Settings
					w.to(a, func(now election.Instant) { a.n.Request(now, election.Request{Ref: 1 << 20, Settings: &s}) })
				})
			}
			if is(m.To, short) {
				r.Entries = r.Entries[:i+1]
			}
		}
		if index == 0 {
			return nil
		}
		if is(m.To, short) && r.GetType() == raftpb.MsgApp && (r.GetIndex() >= index) {
			r.Index, r.LogTerm, r.Entries = new(index), new(term), nil
		}
		if is(m.To, unsure) && r.GetCommit() >= index {
			r.Commit = new(index - 1)
		}
		return nil
	}
	change()
	for end := w.now.Add(time.Second); w.now < end; w.run(100 * time.Microsecond) {
		if index != 0 && a.n.Status(w.now).Applied >= index {
			break
		}
	}
	w.run(time.Millisecond) // its last word travels
	w.kill("a", false, "")
	a.gone = true
	w.forge = nil
	if index == 0 {
		t.Fatalf("no configuration was changed\n%s", w.out.String())
	}
}

// A member leaves, and it alone learns from the leader that it votes no longer; its
// log is the longest, too. The leader dies. Two of the three voters are left, and count
// four. They need a vote that is refused, and the one that refuses it does not
// campaign.
func TestAFormerVoterSaysThatItIsOne(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c", "d")
	w.run(time.Second)
	a, d := w.nodes["a"], w.nodes["d"]
	w.lastChange(t, func() {
		w.to(a, func(now election.Instant) {
			a.n.Request(now, election.Request{Ref: 1 << 19, Leave: &ring.Leave{ID: d.id}})
		})
	}, []string{"b", "c"}, []string{"b", "c"})
	w.run(1500 * time.Millisecond)
	if l := w.claimant(t); l != "b" && l != "c" {
		t.Errorf("%q leads, want b or c\n%s%s", l, w.out.String(), w.status())
	}
}

// A member becomes a voter, and does not learn of that; its log is the longest, and
// it does not campaign. The leader dies. The other voter needs its vote.
func TestANewVoterIsToldThatItIsOne(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b")
	w.run(time.Second)
	w.lastChange(t, func() {
		if err := w.join("c", ring.Member{}); err != nil {
			t.Fatal(err)
		}
	}, []string{"b"}, []string{"c"})
	w.run(1500 * time.Millisecond)
	if l := w.claimant(t); l != "b" && l != "c" {
		t.Errorf("%q leads, want b or c\n%s%s", l, w.out.String(), w.status())
	}
}
