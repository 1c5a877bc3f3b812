package election_test

import (
	"slices"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// The others have committed something with c, which a has not. Then all stop, and c's
// directory is put back from a copy that is older than what a knows of c. Its
// votes reach a before what it announces does. They count for nothing.
func TestAnOldDirectoryIsNotCountedBeforeItsAnnouncement(t *testing.T) {
	w := threeFormed(t)
	c := w.nodes["c"]
	saved, former := c.disk.copy(), slices.Clone(c.former)
	w.kill("c", true, "")
	w.restart("c")
	w.run(time.Second) // all have recorded its new process
	if _, err := w.request(election.Request{Handover: &election.Handover{To: w.nodes["b"].id}}, time.Second); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	w.split([]string{"a"}, []string{"b", "c"})
	s := lan(t)
	s.ForgetAfterS = 12345
	if _, err := w.request(election.Request{Settings: &s}, time.Second); err != nil {
		t.Fatalf("%v\n%s", err, w.out.String())
	}
	for _, name := range []string{"a", "b", "c"} {
		w.kill(name, false, "")
	}
	clear(w.cut)
	c.disk, c.former = saved, former
	late := w.now.Add(1500 * time.Millisecond)
	w.drop = func(m election.Message) bool { return m.Return != nil && m.From == c.id && w.now < late }
	w.restart("a")
	w.restart("c")
	w.run(2500 * time.Millisecond)
	if got := w.claimant(t); got != "" {
		t.Errorf("%s claims by the word of an old directory\n%s", got, w.out.String())
	}
	if c.superseded == nil || !c.superseded.Behind {
		t.Errorf("the old directory is told %+v, want that it is behind\n%s", c.superseded, w.out.String())
	}
	w.restart("b")
	w.run(3 * time.Second)
	if got := w.claimant(t); got == "" || w.leader().n.State().Settings.ForgetAfterS != 12345 {
		t.Errorf("%q claims, and what b and c committed is lost\n%s", got, w.out.String())
	}
	w.nobodyElse(t)
}

// The ring has recorded c's process, and b was down meanwhile. Now the leader is
// lost. c has nothing to announce as far as it knows, so b asks it.
func TestAProcessThatIsNotCountedIsAskedToAnnounceItself(t *testing.T) {
	w := threeFormed(t)
	w.kill("b", false, "")
	w.kill("c", false, "")
	w.restart("c")
	c := w.nodes["c"]
	w.run(time.Second)
	if m, _ := w.nodes["a"].n.State().Member(c.id); m.Incarnation != c.inc {
		t.Fatalf("the ring has not recorded c's process\n%s", w.out.String())
	}
	w.kill("a", false, "")
	w.nodes["a"].gone = true
	answers := 0
	w.forge = func(m election.Message) *election.Message {
		if m.Return != nil && m.From == c.id {
			answers++
		}
		return nil
	}
	w.restart("b")
	asked := w.now
	for ; w.claimant(t) == "" && w.now < asked.Add(10*time.Second); w.run(10 * time.Millisecond) {
	}
	// b waits a lease before it votes. Nobody is isolated before the fourth.
	if took := w.now.Sub(asked); took > 3*lan(t).Lease() {
		t.Errorf("somebody claims after %v\n%s", took, w.out.String())
	}
	if answers == 0 || answers > 3 {
		t.Errorf("c announced itself %d times, want that it was asked once or twice", answers)
	}
	w.nobodyElse(t)
}

// The same, and b's log gives c's place to a process before that one, as it does not
// know that this is committed. Whether the present one comes after it, only that one
// can say.
func TestAProcessIsAskedWhetherItComesAfterTheOneInTheLog(t *testing.T) {
	w := threeFormed(t)
	a, b, c := w.nodes["a"], w.nodes["b"], w.nodes["c"]
	w.kill("c", false, "")
	committed := a.n.Status(w.now).Applied
	w.forge = func(m election.Message) *election.Message {
		if m.Raft != nil && m.To == b.id && m.Raft.GetCommit() > committed {
			m.Raft.Commit = new(committed)
		}
		return nil
	}
	w.restart("c")
	recorded := func() bool { m, _ := a.n.State().Member(c.id); return m.Incarnation == c.inc }
	w.until(t, "the ring has recorded c's second process", recorded)
	w.kill("b", false, "")
	w.forge = nil
	w.kill("c", false, "")
	w.restart("c")
	w.until(t, "the ring has recorded c's third process", recorded)
	w.run(time.Second)
	w.kill("a", false, "")
	a.gone = true
	w.restart("b")
	asked := w.now
	for ; w.claimant(t) == "" && w.now < asked.Add(10*time.Second); w.run(10 * time.Millisecond) {
	}
	if took := w.now.Sub(asked); took > 3*lan(t).Lease() {
		t.Errorf("somebody claims after %v\n%s", took, w.out.String())
	}
	w.nobodyElse(t)
}

// Two processes that do not count each other ask each other. The answers ask for
// nothing, so that they end.
func TestAnAnswerToWhoIsThereAsksForNothing(t *testing.T) {
	w := threeFormed(t)
	b, c := w.nodes["b"], w.nodes["c"]
	var sent []election.Message
	w.forge = func(m election.Message) *election.Message {
		if m.Return != nil {
			sent = append(sent, m)
		}
		return nil
	}
	ask := election.Message{From: c.id, To: b.id, Incarnation: 77777, Return: &election.Return{
		Return: ring.Return{ID: c.id, Incarnation: 77777, Addresses: []string{"c:7400"}}, Ask: true}}
	w.to(b, func(now election.Instant) { b.n.Receive(now, ask) })
	w.run(100 * time.Millisecond)
	if len(sent) != 1 || sent[0].From != b.id || sent[0].To != c.id || sent[0].Return.Incarnation != b.inc || sent[0].Return.Ask {
		for _, m := range sent {
			t.Errorf("%v %d to %d: %+v", w.now, m.From, m.To, m.Return)
		}
	}
}

// Both were down, and the leader is recorded already. A voter that is back cannot ask
// it, as its word to the leader is lost, so the third one tells which process leads.
func TestOthersTellWhichProcessLeadsIfItCannotBeAsked(t *testing.T) {
	w := threeFormed(t)
	a, b := w.nodes["a"], w.nodes["b"]
	w.kill("b", false, "")
	w.kill("a", false, "")
	w.run(10 * time.Millisecond)
	w.restart("a")
	w.until(t, "a claims", func() bool { return w.claimant(t) == "a" })
	w.drop = func(m election.Message) bool { return m.From == b.id && m.To == a.id }
	w.restart("b")
	// It votes for nobody for a lease, and asks within another one.
	w.run(2 * lan(t).Lease())
	if !b.n.Standing(w.now, b.id).InTouch {
		t.Errorf("b does not follow a\n%s\n%s", w.out.String(), w.status())
	}
	w.nobodyElse(t)
}
