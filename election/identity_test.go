package election_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// threeFormed is a ring of three with a few entries in every log.
func threeFormed(t *testing.T) *world {
	t.Helper()
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c")
	for range 3 {
		s := lan(t)
		if _, err := w.request(election.Request{Settings: &s}, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	w.run(time.Second)
	return w
}

// nobodyElse fails if two ever claimed at once.
func (w *world) nobodyElse(t *testing.T) {
	t.Helper()
	if strings.Contains(w.out.String(), "VIOLATION") {
		t.Errorf("two claims:\n%s", w.out.String())
	}
}

func (w *world) claimant(t *testing.T) string {
	t.Helper()
	for _, name := range w.order {
		if _, _, ok := claimOf(w.nodes[name], w.now); ok {
			return name
		}
	}
	return ""
}

// A copy of a data directory runs beside the original: it is refused, nothing
// else happens, and the loss of a third machine is borne as ever.
func TestCloneIsRefused(t *testing.T) {
	for _, of := range []string{"a", "b"} { // the leader, and a follower
		t.Run("of "+of, func(t *testing.T) {
			w := threeFormed(t)
			token := w.leader().n.State().Term
			b2 := w.clone(of, "twin")
			w.run(2 * time.Second)
			if b2.superseded == nil || b2.superseded.By != w.nodes[of].inc || b2.superseded.Behind {
				t.Errorf("the copy is told %+v, want that process %x is the member\n%s", b2.superseded, w.nodes[of].inc, w.out.String())
			}
			for _, name := range []string{"a", "b", "c"} {
				if !w.nodes[name].up {
					t.Errorf("%s ended\n%s", name, w.out.String())
				}
			}
			if got := w.leader().n.State().Term; got != token || w.claimant(t) != "a" {
				t.Errorf("%q claims with token %d, want a with %d", w.claimant(t), got, token)
			}
			w.kill("c", true, "")
			w.run(2 * time.Second)
			if w.claimant(t) != "a" {
				t.Errorf("%q claims after the loss of c, want a\n%s", w.claimant(t), w.out.String())
			}
			w.nobodyElse(t)
		})
	}
}

// The original and one member are cut from the copy and the third member: the
// side of the copy never claims, with either side leading before, and whether or not its
// members had ever spoken to the original.
func TestCloneDoesNotMakeAMajority(t *testing.T) {
	for _, c := range []struct{ of, with, other string }{{"b", "c", "a"}, {"c", "b", "a"}, {"b", "a", "c"}, {"c", "a", "b"}, {"a", "b", "c"}} {
		for _, restart := range []bool{false, true} { // the copy, on its side of the cut
			w := threeFormed(t)
			w.split([]string{c.of, c.with}, []string{c.other, "twin"})
			w.clone(c.of, "twin")
			w.run(3 * time.Second)
			if restart {
				w.nodes["twin"].up = false
				w.restart("twin")
				w.run(3 * time.Second)
			}
			if got := w.claimant(t); got != c.of && got != c.with {
				t.Errorf("%+v: %q claims\n%s", c, got, w.out.String())
			}
			if n := w.nodes["twin"].n.Status(w.now); n.Leader == w.nodes["twin"].id && c.of != "a" {
				t.Errorf("%+v: the copy leads\n%s", c, w.out.String())
			}
			clear(w.cut)
			w.run(5 * time.Second)
			if w.nodes["twin"].superseded == nil {
				t.Errorf("%+v: the copy goes on after the cut\n%s", c, w.out.String())
			}
			w.nobodyElse(t)
		}
	}
}

// A member whose monitor died with it comes back: nobody has its certificate,
// but another process answers at its address.
func TestRestartWithoutACertificate(t *testing.T) {
	w := threeFormed(t)
	w.kill("c", true, "")
	w.run(2 * time.Second) // c is evicted: a pair
	if err := w.join("c", ring.Member{}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	w.kill("a", false, "")
	w.kill("b", false, "")
	w.run(100 * time.Millisecond)
	w.restart("b")
	w.run(4 * time.Second)
	if w.claimant(t) == "" {
		t.Errorf("c and the restarted b are a majority, and nobody claims\n%s\n%s", w.out.String(), w.status())
	}
	w.nobodyElse(t)
}

// A member is back on another machine, from its own disk, and its old address is
// silent: what would evict it lets it in.
func TestReturnAtAnotherAddress(t *testing.T) {
	w := threeFormed(t)
	w.kill("c", false, "")
	w.nodes["c"].gone = true
	w.run(50 * time.Millisecond)
	was := w.nodes["c"]
	w.clone("c", "c2")
	for range 20 {
		w.suspect("b", "c", ring.Silent)
		w.run(100 * time.Millisecond)
	}
	m, ok := w.leader().n.State().Member(was.id)
	if !ok || m.Incarnation != w.nodes["c2"].inc || !slices.Equal(m.Addresses, []string{"c2:7400"}) {
		t.Errorf("the ring has %+v as member %d, want c2\n%s", m, was.id, w.out.String())
	}
}

// The original was silent for so long that the ring recorded the copy. It is told
// when it is back, and one voice is not enough for that.
func TestOriginalThatWasReplaced(t *testing.T) {
	w := threeFormed(t)
	c := w.nodes["c"]
	w.split([]string{"c"}, []string{"a", "b"})
	w.clone("c", "c2")
	for range 20 {
		w.suspect("b", "c", ring.Silent)
		w.run(100 * time.Millisecond)
	}
	if m, _ := w.leader().n.State().Member(c.id); m.Incarnation != w.nodes["c2"].inc {
		t.Fatalf("the ring has recorded process %x, want c2\n%s", m.Incarnation, w.out.String())
	}
	one := election.Message{From: 1, To: c.id, Incarnation: w.nodes["a"].inc,
		Held: &election.Held{RingID: "r", ID: c.id, Incarnation: c.inc, By: w.nodes["c2"].inc}}
	w.to(c, func(now election.Instant) { c.n.Receive(now, one); c.n.Receive(now, one) })
	if c.superseded != nil {
		t.Errorf("one voice ends a recorded process")
	}
	clear(w.cut)
	w.run(4 * time.Second)
	if c.superseded == nil || c.superseded.By != w.nodes["c2"].inc {
		t.Errorf("the original is told %+v, want that c2 is the member\n%s", c.superseded, w.out.String())
	}
	w.nobodyElse(t)
}

// A directory from before the process that the ring has recorded is refused, and
// so is one that lost what the member had acknowledged.
func TestDirectoryThatIsBehind(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world, nd *node)
	}{
		{"restored from before the last restart", func(w *world, nd *node) {
			saved, former := nd.disk.copy(), slices.Clone(nd.former)
			w.kill("c", true, "")
			w.restart("c")
			w.run(time.Second)
			w.kill("c", true, "")
			nd.disk, nd.former = saved, former
			w.restart("c")
		}},
		{"log shortened", func(w *world, nd *node) {
			w.kill("c", true, "")
			nd.disk.entries = nd.disk.entries[:len(nd.disk.entries)-1]
			last := nd.disk.entries[len(nd.disk.entries)-1].GetIndex()
			h := nd.disk.hard
			nd.disk.hard = &raftpb.HardState{Term: h.Term, Vote: h.Vote, Commit: new(min(h.GetCommit(), last))}
			w.restart("c")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := threeFormed(t)
			c.do(w, w.nodes["c"])
			w.run(time.Second)
			if s := w.nodes["c"].superseded; s == nil || !s.Behind {
				t.Errorf("the old directory is told %+v, want that it is behind\n%s", s, w.out.String())
			}
			if w.claimant(t) != "a" {
				t.Errorf("%q claims, want a\n%s", w.claimant(t), w.out.String())
			}
		})
	}
}

// A member that is started again and again, and does not get so far that the ring
// records it, is no older copy.
func TestManyStartsAreNoOlderCopy(t *testing.T) {
	w := threeFormed(t)
	c := w.nodes["c"]
	w.kill("c", true, "")
	for i := range election.FormerKept {
		c.former = append([]uint64{uint64(5000 + i)}, c.former...)
	}
	c.former = c.former[:election.FormerKept]
	w.restart("c")
	w.run(2 * time.Second)
	if c.superseded != nil {
		t.Errorf("c is told %+v\n%s", c.superseded, w.out.String())
	}
}

// A leader's new process that one voter cannot ask brings the log itself, so
// the others have to tell that voter that the ring has recorded it.
func TestOthersTellWhichProcessLeads(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), time.Second, "a", "b", "c", "d", "e")
	a, e := w.nodes["a"], w.nodes["e"]
	w.cut[[2]string{"e", "a"}] = true
	w.restart("a")
	w.run(8 * time.Second)
	if w.leader() != a {
		t.Fatalf("a does not lead again:\n%s", w.status())
	}
	if !e.n.Standing(w.now, e.id).InTouch {
		t.Errorf("e does not follow the new process of a:\n%s", w.out.String())
	}
}

// returnLogged lets the leader a propose to record c2, which runs from a copy of
// the disk of c, while c is cut off. It ends when b has that entry in its log, has
// acknowledged it, and will not hear that it is committed.
func returnLogged(t *testing.T) *world {
	t.Helper()
	w := threeFormed(t)
	w.split([]string{"c"}, []string{"a", "b"})
	w.clone("c", "c2")
	logged := func() bool {
		e := w.nodes["b"].disk.entries
		return isReturn(e[len(e)-1])
	}
	for end := w.now.Add(3 * time.Second); !logged(); w.run(500 * time.Microsecond) {
		if w.now > end {
			t.Fatalf("b does not get the return\n%s", w.out.String())
		}
		if w.now.SinceOrigin()%(100*time.Millisecond) == 0 {
			w.suspect("b", "c", ring.Silent)
		}
	}
	w.cut[[2]string{"a", "b"}] = true
	w.run(1500 * time.Microsecond)
	return w
}

// A voter has an entry in its log that records a copy, and hears the original. The
// entry may be committed, so the original counts no more.
func TestAReturnInTheLogMayBeCommitted(t *testing.T) {
	w := returnLogged(t)
	token := w.nodes["a"].n.State().Term
	clear(w.cut)
	w.split([]string{"a", "c2"}, []string{"b", "c"})
	w.run(5 * time.Second)
	if m, _ := w.nodes["a"].n.State().Member(3); m.Incarnation != w.nodes["c2"].inc {
		t.Fatalf("a has recorded process %x, want c2\n%s", m.Incarnation, w.out.String())
	}
	if got := w.nodes["b"].n.State().Term; got != token {
		t.Errorf("b has a leader of term %d, and a still leads\n%s\n%s", got, w.out.String(), w.status())
	}
	clear(w.cut)
	w.run(5 * time.Second)
	if got := w.claimant(t); got != "a" && got != "c2" {
		t.Errorf("%q claims, want a or c2\n%s", got, w.out.String())
	}
	w.nobodyElse(t)
}

// A voter that heard the original in vain counts the copy, once it learns that
// the ring has recorded it.
func TestAProcessThatTheRingRecordsCountsAfterAll(t *testing.T) {
	w := returnLogged(t)
	w.split([]string{"c"}, []string{"c2"})
	delete(w.cut, [2]string{"b", "c"})
	delete(w.cut, [2]string{"c", "b"})
	w.run(time.Second)
	w.kill("c", false, "")
	delete(w.cut, [2]string{"a", "b"})
	w.run(3 * time.Second)
	w.kill("a", true, "")
	w.nodes["a"].gone = true
	w.run(5 * time.Second)
	if got := w.claimant(t); got != "b" && got != "c2" {
		t.Errorf("%q claims, want b or c2: b misses %q\n%s\n%s", got, w.nodes["b"].n.Missing(w.now), w.out.String(), w.status())
	}
	w.nobodyElse(t)
}

// The entry in the log of a voter records a copy that has ended since. What it
// acknowledged may be nowhere else, so the original does not count all the same.
func TestAReturnInTheLogOfACopyThatEnded(t *testing.T) {
	w := returnLogged(t)
	clear(w.cut)
	w.split([]string{"b"}, []string{"a", "c2"})
	w.split([]string{"c"}, []string{"a", "c2"})
	w.run(2 * time.Second)
	token := w.nodes["a"].n.State().Term
	for _, name := range []string{"a", "c2"} {
		w.kill(name, false, "")
	}
	b := w.nodes["b"]
	w.to(b, func(now election.Instant) {
		b.n.Certify(now, election.Certificate{ID: 3, Name: "c", Incarnation: w.nodes["c2"].inc, Exit: "signal: killed"})
	})
	w.run(5 * time.Second)
	if got := b.n.State().Term; got != token {
		t.Errorf("b has a leader of term %d that lacks what a and the copy agreed to\n%s", got, w.out.String())
	}
}
