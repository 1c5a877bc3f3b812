package election

import (
	"math/rand/v2"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/ring"
)

// Those who were there at a founding wait 20 s for its first leader. One that
// holds what a leader has appended waits on: a majority may have counted on it,
// although no word of that came through.
func TestAnUnbornRingIsGivenUpByThoseWhoHoldNothing(t *testing.T) {
	settings, err := ring.ProfileSettings(ring.DefaultProfile)
	if err != nil {
		t.Fatal(err)
	}
	f := ring.Found{Cluster: "c", RingID: "r", Settings: settings, Founder: ring.Member{Name: "n1", Incarnation: 10, Addresses: []string{"n1:1"}}}
	for i, name := range []string{"n2", "n3"} {
		f.Others = append(f.Others, ring.Member{Name: name, Incarnation: uint64(20 + i), Addresses: []string{name + ":1"}, Nonce: uint64(i) + 1})
	}
	for name, tt := range map[string]struct {
		entries, restarted bool
		want               bool
	}{
		"nothing":                     {false, false, true},
		"nothing, and was restarted":  {false, true, true},
		"what a leader appended":      {true, false, false},
		"the same, and was restarted": {true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			rec, err := Found(f, 1_000_000_000)
			if err != nil {
				t.Fatal(err)
			}
			rec.Restarted = tt.restarted
			if tt.entries {
				rec.Entries = []*raftpb.Entry{{Index: new(rec.Snapshot.GetMetadata().GetIndex() + 1), Term: new(uint64(1001))}}
				rec.HardState.Term = new(uint64(1001))
			}
			n, err := New(Config{ID: 2, Incarnation: 20, Rand: rand.NewPCG(1, 2).Uint64, Wall: func() int64 { return 1 }}, rec, Instant(time.Second))
			if err != nil {
				t.Fatal(err)
			}
			gaveUp := false
			for now := Instant(time.Second); now < Instant(time.Second+durations.Unborn+time.Second); now = now.Add(50 * time.Millisecond) {
				n.Tick(now)
				for _, e := range n.Effects() {
					switch e := e.(type) {
					case Persist:
						n.Persisted(now, e.Seq)
					case Removed:
						gaveUp = e.Unborn
					}
				}
			}
			if gaveUp != tt.want {
				t.Errorf("gave the ring up: %v, want %v", gaveUp, tt.want)
			}
		})
	}
}

// A member that has nothing yet says what it waits for, and counts no voters.
func TestAMemberWithoutALogSaysSo(t *testing.T) {
	n, err := New(Config{ID: 2, Incarnation: 20, Rand: rand.NewPCG(1, 2).Uint64, Wall: func() int64 { return 1 }, Unborn: true}, Recovered{}, Instant(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := n.Status(Instant(time.Second)).Reason, "no leader known: this node was let in, and waits for the ring's log"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}
