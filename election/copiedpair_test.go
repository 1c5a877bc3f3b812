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

// pairRecordsACopy lets the leader a of a pair record a copy of b's directory that
// has ended, with b's own ack, and then lose its power: as soon as it has applied
// that, or once its log records b again. b itself is restarted when the copy ends, or
// runs on.
func pairRecordsACopy(t *testing.T, restarted, again bool) *world {
	t.Helper()
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b")
	w.run(time.Second)
	a, b := w.nodes["a"], w.nodes["b"]
	records := func(inc uint64) bool {
		return slices.ContainsFunc(a.disk.entries, func(e *raftpb.Entry) bool {
			r := returnIn(e)
			return r != nil && r.ID == b.id && r.Incarnation == inc
		})
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for end := w.now.Add(5 * time.Second); !done(); w.run(500 * time.Microsecond) {
			if w.now > end {
				t.Fatalf("%s: not after 5 s\n%s", what, w.out.String())
			}
		}
	}
	w.split([]string{"a"}, []string{"b"})
	w.cut[[2]string{"a", "copy"}] = true // it acknowledges nothing
	c := w.clone("b", "copy")
	until("a records the copy", func() bool { return records(c.inc) })
	w.kill("copy", false, "")
	c.gone = true
	if restarted {
		w.kill("b", false, "")
		w.restart("b")
	}
	clear(w.cut)
	applied := func() bool { m, _ := a.n.State().Member(b.id); return m.Incarnation == c.inc }
	until("that is committed", applied)
	if again {
		until("a records b again", func() bool { return records(b.inc) })
	}
	w.kill("a", false, "")
	if b.superseded != nil || !applied() {
		t.Fatalf("b is told %+v before a was restarted\n%s", b.superseded, w.out.String())
	}
	return w
}

// A pair recorded a copy that has ended, and its leader is restarted. The original
// is not behind, for its log has that record: it goes on, and somebody leads.
func TestAPairTakesTheOriginalOfACopyThatEnded(t *testing.T) {
	for i := range 4 {
		restarted, again := i&1 != 0, i&2 != 0
		w := pairRecordsACopy(t, restarted, again)
		w.restart("a")
		w.run(5 * time.Second)
		if b := w.nodes["b"]; b.superseded != nil || w.claimant(t) == "" {
			t.Errorf("b restarted: %v, recorded again: %v: b is told %+v, and %q claims\n%s", restarted, again, b.superseded, w.claimant(t), w.out.String())
		}
		w.nobodyElse(t)
	}
}

// A pair that was restarted refuses an older directory all the same.
func TestAPairRefusesAnOlderDirectory(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b")
	w.run(time.Second)
	b := w.nodes["b"]
	saved, former := b.disk.copy(), slices.Clone(b.former)
	w.kill("b", true, "")
	w.restart("b")
	w.run(time.Second)
	w.kill("b", false, "")
	w.kill("a", false, "")
	b.disk, b.former = saved, former
	w.restart("a")
	w.restart("b")
	w.run(5 * time.Second)
	if b.superseded == nil || !b.superseded.Behind {
		t.Errorf("the old directory is told %+v, want that it is behind\n%s", b.superseded, w.out.String())
	}
}

// The leader of a pair counts a copy, which acknowledges its entries and ends. The
// original lacks them, and raft would not send them again in that term.
func TestAPairSendsTheOriginalWhatACopyAcknowledged(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b")
	w.run(time.Second)
	b := w.nodes["b"]
	w.split([]string{"a"}, []string{"b"})
	w.kill("a", false, "")
	w.restart("a")
	w.clone("b", "copy")
	for end := w.now.Add(5 * time.Second); w.claimant(t) != "a"; w.run(500 * time.Microsecond) {
		if w.now > end {
			t.Fatalf("a does not lead with the word of the copy\n%s", w.out.String())
		}
	}
	w.kill("copy", false, "")
	clear(w.cut)
	w.run(5 * time.Second)
	s := lan(t)
	if _, err := w.request(election.Request{Settings: &s}, time.Second); err != nil || b.superseded != nil {
		t.Errorf("a change ends with %v, b is told %+v\n%s", err, b.superseded, w.out.String())
	}
	w.nobodyElse(t)
}

// The leader of a pair renews, and is not found where it was. Its copy waits until it
// has been silent for a lease.
func TestAPairCountsNoCopyWhileItHearsTheOriginal(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b")
	w.run(time.Second)
	a := w.nodes["a"]
	token := a.n.State().Term
	w.finds = func(p election.Probe) election.ProbeResult {
		return election.ProbeResult{Of: p, Outcome: election.Unanswered}
	}
	w.clone("a", "copy")
	w.run(3 * time.Second)
	counted := strings.Contains(w.out.String(), "a speaks as process")
	if w.claimant(t) != "a" || a.n.State().Term != token || counted {
		t.Errorf("a is told %+v, and %q claims\n%s", a.superseded, w.claimant(t), w.out.String())
	}
	w.nobodyElse(t)
}

// A leader of a pair counts the original again, and the ring has recorded the copy that
// ended. A third member votes only when the ring has recorded the original, and does not
// end it before.
func TestAThirdVoterCountsTheOriginalToo(t *testing.T) {
	w := pairRecordsACopy(t, true, false)
	w.restart("a")
	b := w.nodes["b"]
	for end := w.now.Add(5 * time.Second); w.claimant(t) == ""; w.run(500 * time.Microsecond) {
		if w.now > end {
			t.Fatalf("nobody claims\n%s", w.out.String())
		}
	}
	w.drop = func(m election.Message) bool { return m.Return != nil && m.From == b.id }
	if err := w.join("c", ring.Member{}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if voters := w.leader().n.Status(w.now).Voters; len(voters) != 2 {
		t.Errorf("%v vote, and the ring has recorded the copy\n%s", voters, w.out.String())
	}
	w.drop = nil
	w.run(3 * time.Second)
	if b.superseded != nil {
		t.Fatalf("b is told %+v\n%s", b.superseded, w.out.String())
	}
	if voters := w.leader().n.Status(w.now).Voters; len(voters) != 3 {
		t.Errorf("%v vote\n%s", voters, w.out.String())
	}
	w.nobodyElse(t)
}

// A copy was refused, and has ended. Its claim ends with it, also if the original is
// certified dead within a lease: the ring does not record the copy, and tells the
// original that it was evicted, not that its directory is behind.
func TestARefusedCopyIsNotRecorded(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b")
	w.run(time.Second)
	a, b := w.nodes["a"], w.nodes["b"]
	c := w.clone("b", "copy")
	w.until(t, "the copy is refused", func() bool { return c.superseded != nil })
	c.gone = true
	w.kill("b", true, "")
	w.run(200 * time.Millisecond)
	w.restart("b")
	w.run(5 * time.Second)
	if b.superseded != nil || slices.ContainsFunc(a.disk.entries, isReturn) || w.claimant(t) != "a" {
		t.Errorf("b is told %+v, and %q claims\n%s\n%s", b.superseded, w.claimant(t), w.out.String(), w.status())
	}
	w.nobodyElse(t)
}

// The refused copy had spoken once more before it was told. That comes in after its
// refusal, and its claim has ended all the same.
func TestARefusedCopyThatSpokeBeforeItWasTold(t *testing.T) {
	for later := time.Duration(0); later <= 200*time.Millisecond; later += 20 * time.Millisecond {
		w := newWorld()
		w.form(t, lan(t), 200*time.Millisecond, "a", "b")
		w.run(time.Second)
		a, b := w.nodes["a"], w.nodes["b"]
		c := w.clone("b", "copy")
		w.forge = func(m election.Message) *election.Message {
			if m.Held == nil {
				return nil
			}
			w.forge = nil
			return &election.Message{From: b.id, To: a.id, Incarnation: c.inc, Raft: &raftpb.Message{
				Type: raftpb.MsgPreVote.Enum(), From: new(b.id), To: new(a.id), Term: new(uint64(9999))}}
		}
		w.until(t, "the copy is refused", func() bool { return c.superseded != nil })
		c.gone = true
		w.run(later)
		w.kill("b", true, "")
		w.run(200 * time.Millisecond)
		w.restart("b")
		w.run(5 * time.Second)
		if b.superseded != nil || slices.ContainsFunc(a.disk.entries, isReturn) || w.claimant(t) != "a" {
			t.Errorf("b dies after %v: it is told %+v, and %q claims\n%s\n%s", later, b.superseded, w.claimant(t), w.out.String(), w.status())
		}
		w.nobodyElse(t)
	}
}
