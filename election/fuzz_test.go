package election

import (
	"strings"
	"testing"
	"time"
)

// FuzzSnapshot: whatever a snapshot holds, a Node starts from it or says which
// snapshot it cannot read; what it starts from it also hands on, with the same
// ring and the same former members.
func FuzzSnapshot(f *testing.F) {
	f.Add(record(f, func(*Recovered) {}).Snapshot.GetData())
	f.Fuzz(func(t *testing.T, data []byte) {
		start := func(data []byte) (*Node, error) {
			return startOn(record(t, func(r *Recovered) { r.Snapshot.Data, r.Entries = data, nil }))
		}
		n, err := start(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "restore snapshot at index 9: ") {
				t.Fatalf("the error does not say what could not be read: %v", err)
			}
			return
		}
		again, err := start(n.snapshot())
		if err != nil {
			t.Fatalf("its own snapshot is refused: %v", err)
		}
		if string(again.snapshot()) != string(n.snapshot()) {
			t.Fatalf("%s became %s", n.snapshot(), again.snapshot())
		}
		for now := range 5 { // must not panic
			n.Tick(Instant(now) * Instant(time.Second))
			n.Effects()
		}
	})
}
