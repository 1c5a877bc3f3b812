package election

import (
	"strings"
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// What only a leader says is taken from the leader of that term alone, as far as it is
// known. In a later term another one may lead.
func TestTheLeaderOfATermIsTheOneThatSpeaks(t *testing.T) {
	n := ringOfFour(t)
	n.role, n.leadership.lead = raft.StateFollower, nil
	for _, c := range []struct {
		leader, from, term uint64
		refused            bool
	}{{2, 3, 4, true}, {2, 2, 4, false}, {2, 3, 5, false}, {0, 3, 4, false}} {
		n.raftLead = c.leader
		for _, kind := range []raftpb.MessageType{raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap, raftpb.MsgTimeoutNow, raftpb.MsgVote} {
			err := n.plausible(&raftpb.Message{Type: kind.Enum(), From: new(c.from), To: new(uint64(1)), Term: new(c.term)})
			if refused := err != nil && strings.Contains(err.Error(), "leads term"); refused != (c.refused && kind != raftpb.MsgVote) {
				t.Errorf("%+v: %v gives %v", c, kind, err)
			}
		}
	}
}

// Nobody else's release keeps a voter from its first promise to the leader.
func TestAStrangersReleaseComesBeforeTheFirstRenewal(t *testing.T) {
	for from, free := range map[uint64]bool{2: true, 3: false} {
		n := ringOfFour(t)
		n.role, n.leadership.lead, n.raftLead = raft.StateFollower, nil, 2
		lease := n.ring.Settings.Lease()
		n.promises.bound = lease
		n.following.released(from, Release{Term: n.term, Seq: 8, ID: from, Incarnation: 9 + from})
		n.following.renewed(2, Renew{Term: n.term, Seq: 1, Incarnation: 11, Lease: lease})
		if n.promises.free() != free {
			t.Errorf("released by %d: free is %t", from, !free)
		}
	}
}
