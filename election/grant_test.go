package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// A probe may come by two paths. If the pong to its first copy left while
// nothing could be made of it, in a handover that came to nothing, the second
// copy must not be what the grant is counted from.
func TestAGrantIsCountedFromTheFirstPongOfAProbe(t *testing.T) {
	w := newWorld()
	w.quiet = true
	w.delay = 100 * time.Microsecond
	s := realtime(t)
	s.DriftPPM = 0
	w.form(t, s, 50*time.Millisecond, "a", "b", "c")
	a := w.nodes["a"]
	ping := func(seq, ack uint64) {
		w.to(a, func(now election.Instant) {
			a.n.Pinged(now, election.Ping{From: 3, Seq: seq, Ack: ack, Grant: 7, Length: s.GrantLength(), At: now})
		})
	}
	// b says that it could lead, is told to, and is stopped: the leader has
	// released meanwhile.
	w.refs++
	w.to(a, func(now election.Instant) {
		a.n.Request(now, election.Request{Ref: w.refs, Handover: &election.Handover{To: 2}})
	})
	for range 1000 {
		if _, _, ok := claimOf(a, w.now); !ok {
			break
		}
		w.run(10 * time.Microsecond)
	}
	w.nodes["b"].stopped = true
	if _, _, ok := claimOf(a, w.now); ok {
		t.Fatal("it claims while it hands over")
	}
	first := w.now
	ping(1, 0)
	ping(2, 0)
	for end := w.now.Add(5 * time.Second); w.now < end; w.run(time.Millisecond) {
		if _, _, ok := claimOf(a, w.now); ok && w.now > first.Add(time.Millisecond) {
			break
		}
	}
	ping(1, 0) // the copies
	ping(2, 0)
	for i := range uint64(20) {
		// The watcher acks the pongs of long ago, and then nothing new.
		ping(3+i, min(1+i, 2))
		w.run(2 * time.Millisecond)
		if _, left, ok := claimOf(a, w.now); ok && left < s.GrantLength() {
			t.Fatalf("a grant that ended %v ago is named", w.now.Sub(first)-s.GrantLength())
		}
	}
}

func realtime(t *testing.T) ring.Settings {
	t.Helper()
	s, err := ring.ProfileSettings("realtime")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
