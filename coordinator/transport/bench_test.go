package transport

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
)

// BenchmarkRenewalCodec is a renewal and its ack, encoded and decoded.
func BenchmarkRenewalCodec(b *testing.B) {
	renew := election.Message{From: 1, To: 2, Renew: &election.Renew{Term: 1_700_000_000, Incarnation: 1 << 62, Lease: 50 * time.Millisecond, Watcher: 5, Grant: 1 << 61}}
	ack := election.Message{From: 2, To: 1, RenewAck: &election.RenewAck{Term: 1_700_000_000}}
	b.ReportAllocs()
	for b.Loop() {
		renew.Renew.Seq++
		ack.RenewAck.Seq++
		for _, m := range []election.Message{renew, ack} {
			env, err := Encode(m)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := Decode(env, m.From, m.To); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkPeerStream is a message to a peer and one back, over TCP: queues,
// encoding, streams.
func BenchmarkPeerStream(b *testing.B) {
	for name, m := range map[string]election.Message{
		"renewal":   {Renew: &election.Renew{Term: 1_700_000_000, Incarnation: 1 << 62, Lease: 50 * time.Millisecond, Watcher: 5, Grant: 1 << 61}},
		"heartbeat": raftMessage(func(m *raftpb.Message) { m.Commit = new(uint64(4)) }),
	} {
		b.Run(name, func(b *testing.B) {
			n1, n2 := start(b, 1, "127.0.0.1:0", Options{}), start(b, 2, "127.0.0.1:0", Options{})
			n1.tr.SetPeers([]Peer{n2.peer()})
			n2.tr.SetPeers([]Peer{n1.peer()})
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
