package election_test

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

// Right after a heartbeat, what a leader appends is lost on its way to both voters, or
// their answers are. The next heartbeat is due a lease later. The voters ack a renewal
// before that, and then the leader sends the entry again.
func TestALostAppendIsSentAgainBeforeTheNextHeartbeat(t *testing.T) {
	for _, kind := range []raftpb.MessageType{raftpb.MsgApp, raftpb.MsgAppResp} {
		w := threeFormed(t)
		s := lan(t)
		beat := false
		w.drop = func(m election.Message) bool {
			beat = beat || m.Raft.GetType() == raftpb.MsgHeartbeat
			return false
		}
		for end := w.now.Add(2 * s.Lease()); !beat && w.now < end; w.run(time.Millisecond) {
		}
		w.run(10 * time.Millisecond) // its answers would do
		lost := map[uint64]bool{}
		w.drop = func(m election.Message) bool {
			voter := max(m.From, m.To) // the leader has the lowest id
			if m.Raft.GetType() != kind || lost[voter] {
				return false
			}
			lost[voter] = true
			return true
		}
		began := w.now
		_, err := w.request(election.Request{Settings: &s}, time.Second)
		// The first renewal may come too early to say that something is missing.
		if took, most := w.now.Sub(began), 2*s.RenewEvery()+20*time.Millisecond; err != nil || len(lost) != 2 || took > most {
			t.Errorf("%d messages of type %v were lost, and the request took %v (%v), want at most %v\n%s", len(lost), kind, took, err, most, w.out.String())
		}
	}
}
