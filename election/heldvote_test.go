package election_test

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

// A process asks for a vote while the voter is bound, and another one is the member
// before the voter is free. The vote would count for the present process, whose log may
// be shorter.
func TestAVoteHeldForAFormerProcessIsNotGivenToThePresentOne(t *testing.T) {
	w := threeFormed(t)
	b, c := w.nodes["b"], w.nodes["c"]
	given := false
	w.drop = func(m election.Message) bool {
		switch m.Raft.GetType() {
		case raftpb.MsgPreVote:
			return true // nobody campaigns
		case raftpb.MsgVoteResp:
			given = given || !m.Raft.GetReject() && m.From == c.id
		}
		return false
	}
	ask := func() {
		vote := &raftpb.Message{Type: raftpb.MsgVote.Enum(), From: &b.id, To: &c.id, Term: new(c.n.Status(w.now).Term + 1), Index: new(uint64(1000)), LogTerm: new(c.n.Status(w.now).Term)}
		former := b.inc
		w.to(c, func(now election.Instant) {
			c.n.Receive(now, election.Message{From: b.id, To: c.id, Incarnation: former, Raft: vote})
		})
	}
	w.kill("a", false, "")
	w.nodes["a"].gone = true
	ask()
	w.kill("b", false, "")
	w.restart("b")
	w.run(2 * time.Second)
	if given {
		t.Errorf("c has voted\n%s", w.out.String())
	}
}
