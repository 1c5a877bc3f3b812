package transport

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/arc-ring/arc/election"
)

// Somebody who answers at a peer's address, and whose certificate is another's, is not
// the peer.
func TestAnAnswerInAnothersNameIsNoStream(t *testing.T) {
	another := errors.New("the certificate is for another")
	a := start(t, 1, "127.0.0.1:0", Options{SpeaksFor: func(_ context.Context, id uint64, name string) error {
		if id != 2 || name != "n2" {
			t.Errorf("asked of %d, %s", id, name)
		}
		return another
	}})
	b := start(t, 2, "127.0.0.1:0", Options{})
	s, err := a.tr.attempt(t.Context(), 2, b.addr, *a.self.Load(), new(atomic.Bool))
	if !errors.Is(err, another) {
		t.Errorf("got %v, %v", s, err)
	}
}

// A message that a peer passes on without its author's signature is dropped, and the
// stream goes on.
func TestAnUnprovenMessageIsDropped(t *testing.T) {
	a := start(t, 1, "127.0.0.1:0", Options{})
	b := start(t, 2, "127.0.0.1:0", Options{Passed: func(m election.Message) error {
		if m.Renew.Seq == 2 {
			return errors.New("it is not proven")
		}
		return nil
	}})
	introduce(a, b)
	for seq := range uint64(3) {
		a.tr.Send(renew(1, 2, seq+1))
	}
	for _, seq := range []uint64{1, 3} {
		if m := await(t, "message", b.got); m.Renew.Seq != seq {
			t.Errorf("number %d came in place of %d", m.Renew.Seq, seq)
		}
	}
}
