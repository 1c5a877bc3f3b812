package coordinator

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/coordinator/internal/publish"
	"github.com/arc-ring/arc/election"

	arcv1 "github.com/arc-ring/arc/proto/arc/v1"
	"github.com/arc-ring/arc/ring"
)

// The watcher's grant is with the event loop before the pong leaves, from a
// moment before that, and the pong does not wait for a loop that is busy. A
// ping that cannot be handed over is not answered.
func TestAGrantIsHandedOverBeforeItsPong(t *testing.T) {
	n, stream := probed(t)
	settings := profile(t, "lan")
	l := testLoop(&fakeCore{}, &fakeStore{}) // it never runs
	n.loop.Store(l)
	leads := &publish.View{ID: 1, RingID: "r", Ring: &ring.State{RingID: "r", Term: 7, Settings: settings}, ClaimTerm: 7, ClaimEnd: election.Never}
	n.hub.Publish(leads, nil)

	ask := func(p *arcv1.Ping) {
		t.Helper()
		if err := stream.Send(p); err != nil {
			t.Fatal(err)
		}
	}
	answer := func(seq uint64) *arcv1.Pong {
		t.Helper()
		pong, err := stream.Recv()
		if err != nil || pong.GetSeq() != seq || pong.GetTerm() != 7 || pong.GetId() != 1 || pong.GetIncarnation() != n.incarnation {
			t.Fatalf("pong %v, %v; want number %d", pong, err, seq)
		}
		return pong
	}
	began := n.clock()
	ask(&arcv1.Ping{Seq: 1, FromId: 5, Grant: 1 << 60, GrantUs: 350_000})
	if name := answer(1).GetName(); name != "n1" {
		t.Errorf("the first pong is of %q", name)
	}
	ended := n.clock()
	pings, _, _, _ := l.inbox.take()
	if len(pings) != 1 {
		t.Fatalf("%d pings wait for the loop when the pong is here, want 1", len(pings))
	}
	p := pings[0]
	if p.At < began || p.At > ended {
		t.Errorf("the pong is said to have left at %v, it was between %v and %v", p.At, began, ended)
	}
	p.At = 0
	if want := (election.Ping{From: 5, Seq: 1, Grant: 1 << 60, Length: 350 * time.Millisecond}); p != want {
		t.Errorf("handed over %+v, want %+v", p, want)
	}

	// Nothing is handed over without a grant; with one everything is, whoever
	// leads: the same probe may come again by another path once this node does.
	ask(&arcv1.Ping{Seq: 2, FromId: 5})
	if name := answer(2).GetName(); name != "" {
		t.Errorf("the name is told again: %q", name)
	}
	follows := *leads
	follows.ClaimTerm = 0
	n.hub.Publish(&follows, nil)
	ask(&arcv1.Ping{Seq: 3, FromId: 5, Grant: 1 << 60, Ack: 1})
	answer(3)
	n.hub.Publish(leads, nil)
	if pings, _, _, _ := l.inbox.take(); len(pings) != 1 || pings[0].Seq != 3 {
		t.Errorf("handed over %+v, want number 3", pings)
	}

	// More than the inbox holds: those beyond are not answered.
	for seq := range uint64(pingsKept + 5) {
		ask(&arcv1.Ping{Seq: 10 + seq, FromId: 5, Grant: 1 << 60})
	}
	for seq := range uint64(pingsKept) {
		answer(10 + seq)
	}
	ask(&arcv1.Ping{Seq: 1000, FromId: 5})
	answer(1000)
}
