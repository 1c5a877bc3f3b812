package election_test

import (
	"errors"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// stopping asks the leader for the end of a member and returns the request's
// number.
func (w *world) stopping(name string) uint64 {
	w.refs++
	r := election.Request{Ref: w.refs, Stop: &election.Stop{ID: w.nodes[name].id}}
	l := w.leader()
	w.to(l, func(now election.Instant) { l.n.Request(now, r) })
	return r.Ref
}

// All members are told to end within half a second: nobody leaves, and two of the
// three have a leader when they are started again, no matter which one led before.
func TestAllThatEndTogetherKeepTheRing(t *testing.T) {
	for _, left := range []string{"a", "b", "c"} {
		w := newWorld()
		w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c")
		token := w.leader().n.State().Term
		refs := map[string]uint64{}
		for _, name := range []string{"c", "a", "b"} { // a leads
			refs[name] = w.stopping(name)
			w.run(200 * time.Millisecond)
		}
		for name, ref := range refs {
			if d, done := w.done[ref]; !done || !errors.Is(d.Err, election.ErrRests) {
				t.Fatalf("%s: done %v, %v; want %v\n%s", name, done, d.Err, election.ErrRests, w.out.String())
			}
		}
		if n := len(w.nodes["a"].n.State().Members); n != 3 {
			t.Fatalf("%d members are left, want 3", n)
		}
		for _, name := range w.order {
			w.nodes[name].up, w.nodes[name].gone = false, true
		}
		w.run(time.Second)
		for _, name := range w.order {
			if name != left {
				w.restart(name)
			}
		}
		w.run(10 * time.Second)
		l := w.leader()
		if l == nil {
			t.Fatalf("without %s nobody leads\n%s", left, w.status())
		}
		if term, _, ok := claimOf(l, w.now); !ok || term <= token {
			t.Errorf("without %s: %s claims %v with token %d, the last was %d", left, l.name, ok, term, token)
		}
	}
}

// Not all are told to end: those that are leave after a moment, and the leader is
// told to hand over.
func TestWhoEndsWhileOthersStayLeaves(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c", "d")
	first, leader := w.stopping("d"), w.stopping("a")
	w.run(200 * time.Millisecond)
	if _, done := w.done[first]; done {
		t.Error("it does not wait for others")
	}
	w.run(300 * time.Millisecond)
	if d, done := w.done[first]; !done || d.Err != nil {
		t.Errorf("the member: done %v, %v", done, d.Err)
	}
	if d, done := w.done[leader]; !done || !errors.Is(d.Err, election.ErrIsLeader) {
		t.Errorf("the leader: done %v, %v; want %v", done, d.Err, election.ErrIsLeader)
	}
	if _, ok := w.nodes["a"].n.State().MemberByName("d"); ok {
		t.Error("it has not left")
	}
	// Of a pair each would be needed again: one leaves at once.
	w.kill("b", true, "")
	w.run(time.Second)
	ref := w.stopping("c")
	w.run(100 * time.Millisecond)
	if d, done := w.done[ref]; !done || d.Err != nil {
		t.Errorf("one of two: done %v, %v\n%s", done, d.Err, w.status())
	}
	// A stranger, and a leader that falls while it waits.
	w.refs++
	w.to(w.leader(), func(now election.Instant) {
		w.leader().n.Request(now, election.Request{Ref: w.refs, Stop: &election.Stop{ID: 99}})
	})
	w.run(time.Millisecond)
	if d := w.done[w.refs]; !errors.Is(d.Err, ring.ErrNotMember) {
		t.Errorf("a stranger: %v", d.Err)
	}
}
