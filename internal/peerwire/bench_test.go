package peerwire

import (
	"testing"
	"time"

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
