package loop

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-hclog"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/internal/durations"
	"github.com/arc-ring/arc/internal/testwait"
	"github.com/arc-ring/arc/ring"
)

// A claim that is given up, or the proof of a leader, is unreadable before the
// message leaves by which another one may come to lead.
func TestWhatIsGivenUpIsUnreadableBeforeMessagesLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCore{term: 1, end: election.Never}
		l := testLoop(c, &fakeStore{})
		l.Begin()
		type readable struct{ claim, leader bool }
		var whenSent []readable
		onEffect(l, func(election.Send) {
			v, now, _, _, ok := l.o.Hub.Claim()
			_, led := v.Leader(now)
			whenSent = append(whenSent, readable{ok, led})
		})
		go func() { _ = l.Run() }()
		turn := func(f func()) {
			_ = l.inbox.post(func(election.Instant) { f(); c.emit(election.Send{}) })
			synctest.Wait()
		}
		turn(func() {})
		turn(func() { c.leaderEnd = 1 }) // long ago: somebody certified it dead
		turn(func() { c.end = 1 })       // a lease that is shorter than was thought
		turn(func() { c.end, c.leaderEnd = election.Never, 0 })
		turn(func() {})
		turn(func() { c.term, c.end, c.leaderEnd = 0, 0, 1 })
		want := []readable{{true, true}, {true, false}, {false, false}, {false, false}, {true, true}, {false, false}}
		if !slices.Equal(whenSent, want) {
			t.Errorf("claim and leader readable when the messages left: %v, want %v", whenSent, want)
		}
		l.Stop()
		<-l.life.Done()
	})
}

// Others wait for messages and for what has to be on the disk first, so these do
// not wait for the view and its events. Who is answered finds the answer in the
// view.
func TestMessagesDoNotWaitForTheView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCore{}
		l := testLoop(c, &fakeStore{})
		l.Begin()
		var epochs []uint64
		note := func() { epochs = append(epochs, l.o.Hub.Load().Ring.Epoch) }
		onEffect(l, func(election.Send) { note() })
		onEffect(l, func(election.SuspicionChanged) { note() })
		onEffect(l, func(election.PeersChanged) { note() })
		go func() { _ = l.Run() }()
		_ = l.inbox.post(func(election.Instant) {
			c.state = &ring.State{RingID: "r", Epoch: 7, Members: c.state.Members}
			c.emit(election.SuspicionChanged{Opinion: &ring.Opinion{ID: 2}}, election.Send{}, election.Persist{Seq: 1}, election.PeersChanged{}, election.Send{})
		})
		synctest.Wait()
		if want := []uint64{0, 0, 7, 7}; !slices.Equal(epochs, want) {
			t.Errorf("epochs in the view as the effects were carried out: %v, want %v: a peer that is new is known before it is spoken to", epochs, want)
		}
		l.Stop()
		<-l.life.Done()
	})
}

// The log is told within moments, and after everybody who waits.
func TestTheLogComesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCore{}
		l := testLoop(c, &fakeStore{})
		lines := make(lineCount, 16)
		l.o.Log = hclog.New(&hclog.LoggerOptions{Output: lines})
		w, _, err := l.o.Hub.Subscribe(false, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		l.Begin()
		go func() { _ = l.Run() }()
		synctest.Wait()
		for len(w.Events) > 0 {
			<-w.Events
		}
		claim := func() {
			_ = l.inbox.post(func(election.Instant) { c.emit(election.ClaimChanged{Claiming: true, Term: 1}) })
			synctest.Wait()
		}
		claim()
		if len(w.Events) != 1 || len(lines) != 0 {
			t.Errorf("%d events and %d lines at once, want 1 and none", len(w.Events), len(lines))
		}
		testwait.Virtual(durations.Deferral)
		if len(lines) != 1 {
			t.Errorf("%d lines after %v, want 1", len(lines), durations.Deferral)
		}
		claim()
		l.Stop()
		<-l.life.Done()
		if len(lines) != 2 {
			t.Errorf("%d lines at the end, want 2: what has happened is told before the loop ends", len(lines))
		}
	})
}

type lineCount chan string

func (c lineCount) Write(b []byte) (int, error) { c <- string(b); return len(b), nil }

// onEffect has the loop call do with the effects of one kind, too.
func onEffect[E election.Effect](l *Loop, do func(E)) {
	others := l.o.CarryOut
	l.o.CarryOut = func(e election.Effect) {
		if e, ok := e.(E); ok {
			do(e)
		}
		others(e)
	}
}
