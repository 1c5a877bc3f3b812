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

// The leader was restarted, and its voters do not know yet that its former
// process has ended. The next winner holds nothing against it.
func TestAMemberThatSpeaksAgainIsNotEvicted(t *testing.T) {
	w := threeFormed(t)
	id := w.nodes["a"].id
	for _, by := range []string{"b", "c"} {
		w.cut[[2]string{by, "a"}] = true // their questions are lost
	}
	w.kill("a", false, "")
	w.suspect("c", "a", ring.Refused)
	w.run(400 * time.Millisecond)
	w.restart("a")
	for range 10 {
		w.suspect("c", "a", ring.Refused)
		w.run(100 * time.Millisecond)
	}
	l := w.leader()
	if l == nil || l.name == "a" {
		t.Fatalf("b and c have no leader\n%s\n%s", w.out.String(), w.status())
	}
	if _, ok := l.n.State().Member(id); !ok {
		t.Errorf("a was heard all the time, and is evicted\n%s", w.out.String())
	}
	clear(w.cut)
	w.run(2 * time.Second)
	if m, ok := w.leader().n.State().Member(id); !ok || m.Incarnation != w.nodes["a"].inc {
		t.Errorf("the ring has recorded %+v, want a's new process\n%s", m, w.out.String())
	}
}

// The log gives a member's place to a process that has ended since. Its newest
// process counts all the same: nobody else could commit that entry.
func TestAReturnInTheLogOfAProcessThatEnded(t *testing.T) {
	w := threeFormed(t)
	w.cut[[2]string{"a", "b"}] = true // b does not get the entry
	w.kill("c", true, "a")
	w.run(5 * time.Millisecond)
	w.restart("c")
	returned := func() bool {
		entries := w.nodes["c"].disk.entries
		return isReturn(entries[len(entries)-1])
	}
	for end := w.now.Add(100 * time.Millisecond); !returned(); w.run(500 * time.Microsecond) {
		if w.now > end {
			t.Fatalf("c does not get its return\n%s", w.out.String())
		}
	}
	// It does not know that the entry is committed.
	for _, name := range []string{"a", "b", "c"} {
		w.kill(name, false, "")
	}
	w.nodes["a"].gone = true
	clear(w.cut)
	w.restart("b")
	w.restart("c")
	w.run(5 * time.Second)
	if got := w.claimant(t); got != "b" && got != "c" {
		t.Errorf("%q claims, want b or c\n%s\n%s", got, w.out.String(), w.status())
	}
	w.nobodyElse(t)
}

// A member is back from its disk at another address. If its old one is silent,
// its former process may live behind a cut cable. If somebody else is there, it
// does not.
func TestReturnWithoutALeader(t *testing.T) {
	for name, displaced := range map[string]bool{"its old address is silent": false, "somebody else has its old address": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c", "d", "e")
			w.run(2 * time.Second)
			for _, lost := range []string{"a", "b", "c"} {
				w.kill(lost, false, "")
				w.nodes[lost].gone = true
			}
			w.run(50 * time.Millisecond)
			c2 := w.clone("c", "c2")
			w.finds = func(p election.Probe) election.ProbeResult {
				r := election.ProbeResult{Of: p, Outcome: election.Unanswered}
				if nd := w.byIncarnation(p.Incarnation); nd != nil && nd.up {
					r.Outcome, r.AnsweredBy, r.AnsweredAs = election.Answered, nd.inc, nd.id
				}
				r.Displaced = displaced && p.ID == c2.id
				return r
			}
			// What is sent to member c reaches its only process.
			w.nodes["c"], w.order = c2, []string{"a", "b", "c", "d", "e"}
			w.run(5 * time.Second)
			if got := w.claimant(t); (got != "") != displaced {
				t.Errorf("%q claims\n%s\n%s", got, w.out.String(), w.status())
			}
			if why := w.nodes["d"].n.Missing(w.now); !displaced && !strings.Contains(why, "c speaks as another process") {
				t.Errorf("the operator is told %q", why)
			}
			w.nobodyElse(t)
		})
	}
}

// The answer to a question about one claim does not refuse the next one, whether
// or not the question was asked again since.
func TestALateAnswerIsForItsOwnClaim(t *testing.T) {
	for _, again := range []bool{false, true} {
		lateAnswer(t, again)
	}
}

func lateAnswer(t *testing.T, again bool) {
	t.Helper()
	w := threeFormed(t)
	b, c := w.nodes["b"], w.nodes["c"]
	var late []func()
	w.finds = func(p election.Probe) election.ProbeResult {
		r := election.ProbeResult{Of: p, Outcome: election.Answered, AnsweredBy: p.Incarnation, AnsweredAs: p.ID}
		late = append(late, func() { w.to(b, func(now election.Instant) { b.n.Probed(now, r) }) })
		return election.ProbeResult{} // it is on its way
	}
	says := func(inc uint64) {
		w.to(b, func(now election.Instant) {
			b.n.Receive(now, election.Message{From: c.id, To: b.id, Incarnation: inc, Raft: &raftpb.Message{
				Type: raftpb.MsgPreVote.Enum(), From: new(c.id), To: new(b.id), Term: new(uint64(9999))}})
		})
	}
	says(77777)
	w.run(10 * time.Millisecond)
	w.kill("c", false, "")
	if !again {
		w.finds = nil
	}
	w.cut[[2]string{"c", "a"}] = true // a has not recorded it
	w.restart("c")
	w.run(1500 * time.Microsecond) // b has heard the new process
	if again {
		w.run(200 * time.Millisecond)
		w.finds = nil
		if len(late) < 2 {
			t.Fatal("b asks once")
		}
		late = late[:1]
	}
	for _, f := range late {
		f()
	}
	clear(w.cut)
	w.run(2 * time.Second)
	if c.superseded != nil {
		t.Errorf("c was restarted, and is told %+v\n%s", c.superseded, w.out.String())
	}
}

// A member was restarted, and a copy of its disk runs elsewhere. One voter heard
// the copy first, the other one the member. Only who answers at the member's
// address counts, whether or not its former process is certified dead.
func TestACopyThatSpeaksBeforeTheRestartedMember(t *testing.T) {
	for _, by := range []string{"a", "b"} { // who hears the copy: the leader, or a voter with a certificate
		for _, reached := range []bool{false, true} { // by its question
			w := threeFormed(t)
			other := map[string]string{"a": "b", "b": "a"}[by]
			w.cut[[2]string{"b", "a"}] = by == "b" // it passes no certificate on
			w.kill("c", by == "b", "b")
			w.run(3 * time.Millisecond)
			if !reached {
				w.split([]string{by}, []string{"c"})
			}
			w.restart("c")
			w.cut[[2]string{"c", by}] = true // its first word is late
			w.split([]string{"twin"}, []string{other})
			w.clone("c", "twin")
			w.run(2500 * time.Microsecond)
			w.split([]string{by, "twin"}, []string{other, "c"})
			w.run(5 * time.Second)
			if got := w.claimant(t); got != other && got != "c" {
				t.Errorf("%s heard the copy, reached %v: %q claims, want %s or c\n%s\n%s", by, reached, got, other, w.out.String(), w.status())
			}
			w.nobodyElse(t)
		}
	}
}

// The certificate of the former process comes when the copy has spoken already.
func TestACopyThatSpeaksBeforeTheCertificate(t *testing.T) {
	w := threeFormed(t)
	w.kill("c", false, "")
	w.split([]string{"a"}, []string{"c"})
	w.split([]string{"twin"}, []string{"b"})
	dead := election.Certificate{ID: w.nodes["c"].id, Name: "c", Incarnation: w.nodes["c"].inc, Exit: "signal: killed"}
	w.restart("c")
	w.clone("c", "twin")
	w.run(2500 * time.Microsecond)
	w.to(w.nodes["a"], func(now election.Instant) { w.nodes["a"].n.Certify(now, dead) })
	w.split([]string{"a", "twin"}, []string{"b", "c"})
	w.run(5 * time.Second)
	if got := w.claimant(t); got != "b" && got != "c" {
		t.Errorf("%q claims, want b or c\n%s\n%s", got, w.out.String(), w.status())
	}
	w.nobodyElse(t)
}

// The leader of a pair took a copy for its partner, and the copy ended. That the
// ring records it then says nothing against the partner, which goes on or starts
// again.
func TestACopyThatEndedInAPair(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		w := newWorld()
		w.form(t, lan(t), 200*time.Millisecond, "a", "b")
		w.run(2 * time.Second)
		a, b := w.nodes["a"], w.nodes["b"]
		w.split([]string{"a", "twin"}, []string{"b"})
		w.cut[[2]string{"a", "twin"}] = true // it acknowledges nothing
		twin := w.clone("b", "twin")
		length := len(a.disk.entries)
		for end := w.now.Add(3 * time.Second); !slices.ContainsFunc(a.disk.entries[length:], isReturn); w.run(100 * time.Microsecond) {
			if w.now.SinceOrigin()%(100*time.Millisecond) == 0 {
				w.suspect("a", "b", ring.Silent)
			}
			if w.now > end {
				t.Fatalf("a proposes no return\n%s", w.out.String())
			}
		}
		twin.up = false
		clear(w.cut)
		for range 3 {
			if restarts {
				w.kill("b", false, "")
				w.restart("b")
			}
			w.run(5 * time.Second)
			if m, _ := a.n.State().Member(b.id); m.Incarnation != b.inc {
				t.Errorf("the ring has recorded process %x of b, want %x (the copy was %x)\n%s", m.Incarnation, b.inc, twin.inc, w.out.String())
			}
			if b.superseded != nil || w.claimant(t) == "" {
				t.Errorf("b is told %+v, %q claims\n%s", b.superseded, w.claimant(t), w.out.String())
			}
		}
		w.nobodyElse(t)
	}
}

func isReturn(e *raftpb.Entry) bool { return returnIn(e) != nil }

// returnIn is the return in an entry, or nil.
func returnIn(e *raftpb.Entry) *ring.Return {
	c, err := ring.DecodeCommand(e.GetData())
	if e.GetType() != raftpb.EntryNormal || err != nil {
		return nil
	}
	return c.Return
}

// ledFromElsewhere is a ring of three whose leader a is back from its disk at another
// address, as a2, and leads again. Its member b does not hear that the ring has
// recorded that process.
func ledFromElsewhere(t *testing.T) *world {
	t.Helper()
	w := threeFormed(t)
	if _, err := w.request(election.Request{Handover: &election.Handover{To: w.nodes["c"].id}}, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	w.kill("a", false, "")
	w.nodes["a"].gone = true
	w.split([]string{"b"}, []string{"a2"})
	a2 := w.clone("a", "a2")
	w.nodes["a"].id = 0 // what is sent to the member reaches a2
	b := w.nodes["b"]
	length := len(b.disk.entries)
	for end := w.now.Add(5 * time.Second); !slices.ContainsFunc(b.disk.entries[length:], isReturn); w.run(500 * time.Microsecond) {
		if w.now.SinceOrigin()%(100*time.Millisecond) == 0 {
			w.suspect("b", "a2", ring.Silent)
		}
		if w.now > end {
			t.Fatalf("b does not get the return\n%s", w.out.String())
		}
	}
	w.cut[[2]string{"c", "b"}] = true
	w.run(1500 * time.Microsecond)
	w.cut[[2]string{"b", "c"}] = true
	w.run(100 * time.Millisecond)
	if _, err := w.request(election.Request{Handover: &election.Handover{To: a2.id}}, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	if m, _ := b.n.State().Member(a2.id); w.claimant(t) != "a2" || m.Incarnation == a2.inc {
		t.Fatalf("%q claims, b has recorded process %x\n%s", w.claimant(t), m.Incarnation, w.out.String())
	}
	return w
}

// The third member dies before b knows that the ring has recorded the leader's
// process: the leader itself says so.
func TestALeaderAtANewAddressSaysThatItIsRecorded(t *testing.T) {
	w := ledFromElsewhere(t)
	w.kill("c", false, "")
	clear(w.cut)
	w.run(20 * time.Second)
	if got := w.claimant(t); got != "a2" && got != "b" {
		t.Errorf("%q claims; b misses %q\n%s\n%s", got, w.nodes["b"].n.Missing(w.now), w.out.String(), w.status())
	}
	w.nobodyElse(t)
}

// A member that has been out of touch for long asks the others now and then. When it
// hears somebody whom it does not count, it asks soon.
func TestWhoHearsAnUnknownProcessAsksSoon(t *testing.T) {
	for at := range 6 {
		w := ledFromElsewhere(t)
		w.kill("c", false, "")
		w.run(10*time.Second + time.Duration(at)*500*time.Millisecond)
		clear(w.cut)
		lease := w.nodes["b"].n.State().Settings.Lease()
		began := w.now
		for w.run(time.Millisecond); w.claimant(t) == "" && w.now < began.Add(20*time.Second); w.run(time.Millisecond) {
		}
		// A lease until it listens, half a second between two questions, an election.
		if took := w.now.Sub(began); took > 2*lease+500*time.Millisecond {
			t.Errorf("%q claims after %v; b misses %q\n%s\n%s", w.claimant(t), took, w.nodes["b"].n.Missing(w.now), w.out.String(), w.status())
		}
	}
}
