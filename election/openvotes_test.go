package election

import (
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/ring"
)

// A voter granted a pre-vote of an older campaign, and its answer comes late. Raft
// counts it for nothing, so the present pre-vote goes on being repeated.
func TestALateGrantOfAnOlderPreVoteAnswersNothing(t *testing.T) {
	n := assemble(Config{ID: 1}, &ring.State{}, 0)
	n.term = 9
	n.campaign.voteAsked(&raftpb.Message{Type: raftpb.MsgPreVote.Enum(), To: new(uint64(3)), Term: new(uint64(10))})
	answer := func(term uint64) *raftpb.Message {
		return &raftpb.Message{Type: raftpb.MsgPreVoteResp.Enum(), Term: new(term)}
	}
	n.campaign.voteAnswered(3, answer(8))
	if len(n.campaign.candidacy.open) != 1 {
		t.Error("the pre-vote is no longer repeated")
	}
	n.campaign.voteAnswered(3, answer(10))
	if len(n.campaign.candidacy.open) != 0 {
		t.Error("the pre-vote is repeated although it is answered")
	}
}
