package transport

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

// BenchmarkPeerStream is a message to a peer and one back, over TCP: queues,
// encoding, streams.
func BenchmarkPeerStream(b *testing.B) {
	for name, m := range map[string]election.Message{
		"renewal":   {Renew: &election.Renew{Term: 1_700_000_000, Incarnation: 1 << 62, Lease: 50 * time.Millisecond, Watcher: 5, Grant: 1 << 61}},
		"heartbeat": {Raft: &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), Term: new(uint64(6)), Commit: new(uint64(4))}},
	} {
		b.Run(name, func(b *testing.B) {
			n1, n2 := start(b, 1, "127.0.0.1:0", Options{}), start(b, 2, "127.0.0.1:0", Options{})
			n1.tr.SetPeers([]election.Peer{n2.peer()})
			n2.tr.SetPeers([]election.Peer{n1.peer()})
			for _, n := range []*node{n1, n2} {
				select {
				case <-n.up:
				case <-time.After(patience):
					b.Fatal("the streams do not come up")
				}
			}
			there := m
			there.From, there.To = 1, 2
			if m.Raft != nil {
				there.Raft.From, there.Raft.To = new(uint64(1)), new(uint64(2))
			}
			back := election.Message{From: 2, To: 1, RenewAck: &election.RenewAck{Term: 1_700_000_000}}
			b.ReportAllocs()
			for b.Loop() {
				n1.tr.Send(there)
				<-n2.got
				n2.tr.Send(back)
				<-n1.got
			}
		})
	}
}
