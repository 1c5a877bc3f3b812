package election_test

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

// A candidate has campaigned in vain for long, so it campaigns seldom. Its
// next pre-vote succeeds, and then the answer to its vote is lost: it asks again
// soon.
func TestALostVoteIsAskedForAgainSoon(t *testing.T) {
	w := threeFormed(t)
	s := w.nodes["b"].n.State().Settings
	w.run(time.Second)
	var preVotes, lost bool
	var at time.Duration
	w.forge = func(m election.Message) *election.Message {
		answers := m.From == w.nodes["c"].id && m.To == w.nodes["b"].id
		switch m.Raft.GetType() {
		case raftpb.MsgPreVoteResp:
			if !preVotes || !answers {
				m.Raft.To = new(uint64(99)) // nobody takes it
			}
		case raftpb.MsgVoteResp:
			if answers && !lost {
				lost, at = true, w.now
				m.Raft.To = new(uint64(99))
			}
		}
		return nil
	}
	w.kill("a", false, "")
	w.nodes["a"].gone = true
	w.run(8 * time.Second)
	preVotes = true
	for end := w.now + 5*time.Second; w.claimant(t) == "" && w.now < end; w.run(time.Millisecond) {
	}
	if took := w.now - at; !lost || w.claimant(t) != "b" || took > 2*s.Stagger()+20*time.Millisecond {
		t.Errorf("%q leads %v after a vote was lost (%v), want b after %v\n%s", w.claimant(t), took, lost, s.Stagger(), w.out.String())
	}
}
