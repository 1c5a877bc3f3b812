package election_test

import (
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// tell hands a notice of eviction to a member, as if another one had sent it.
func (w *world) tell(name, from string, epoch uint64) {
	to, by := w.nodes[name], w.nodes[from]
	w.to(to, func(now election.Instant) {
		to.n.Receive(now, election.Message{From: by.id, To: to.id, Incarnation: by.inc,
			Evicted: &election.EvictedNotice{RingID: "r", ID: to.id, Epoch: epoch}})
	})
}

func standingWorld(t *testing.T, names ...string) *world {
	t.Helper()
	w := newWorld()
	w.quiet = true
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	w.form(t, s, 300*time.Millisecond, names...)
	return w
}

func (w *world) in(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if nd := w.nodes[name]; !nd.up || nd.n.Status(w.now).Role == "" {
			t.Errorf("%s was taken out of the ring", name)
		}
	}
}

func TestNoticesThatAreFalseEndNoMembership(t *testing.T) {
	w := standingWorld(t, "a", "b", "c")
	for range 40 {
		w.tell("a", "b", 1000)
		w.tell("b", "c", 1000)
		w.tell("c", "a", 1000)
		w.run(50 * time.Millisecond)
	}
	w.run(10 * time.Second)
	w.in(t, "a", "b", "c")
}

func TestOneOpinionEndsNoMembership(t *testing.T) {
	w := standingWorld(t, "a", "b", "c", "d", "e")
	// b says of everybody that it is out, and stands by that when it is asked.
	w.lie = func(by *node, s *election.Standing) {
		if by.name == "b" {
			s.Member, s.Out, s.Epoch = false, true, 1000
		}
	}
	// c speaks with nobody but b.
	for _, o := range []string{"a", "d", "e"} {
		w.cut[[2]string{"c", o}], w.cut[[2]string{o, "c"}] = true, true
	}
	for range 200 {
		w.tell("a", "b", 1000)
		w.tell("c", "b", 1000)
		w.tell("d", "b", 1000)
		w.run(50 * time.Millisecond)
	}
	w.in(t, "a", "b", "c", "d", "e")
	if _, in := w.leader().n.State().Member(w.nodes["c"].id); !in {
		t.Fatal("c was evicted: its membership should have ended")
	}
}

func TestAnAnswerWithoutVotersEndsNoMembership(t *testing.T) {
	w := standingWorld(t, "a", "b", "c")
	w.lie = func(by *node, s *election.Standing) {
		if by.name == "b" {
			s.Member, s.Out, s.Epoch, s.Voters = false, true, 1000, nil
		}
	}
	w.cut[[2]string{"a", "c"}], w.cut[[2]string{"c", "a"}] = true, true // c hears nobody but b
	for range 60 {
		w.tell("c", "b", 1000)
		w.run(50 * time.Millisecond)
	}
	w.in(t, "c")
}

func TestWhoIsTrulyOutBelievesAMajority(t *testing.T) {
	w := standingWorld(t, "a", "b", "c")
	w.nodes["c"].stopped = true
	w.suspect("b", "c", ring.Silent)
	w.run(3 * time.Second)
	if w.nodes["a"].n.State().Gone(w.nodes["c"].id) == false {
		t.Fatal("c was not evicted")
	}
	c := w.nodes["c"]
	c.stopped = false
	for _, f := range c.backlog {
		f()
	}
	w.run(2 * time.Second)
	if c.up {
		t.Errorf("c still takes itself for a member: %s", w.status())
	}
}

// One after the other every machine is replaced. The one that was off knows
// nobody who is left.
func TestWhoKnowsNobodyFindsOutFromStrangers(t *testing.T) {
	w := standingWorld(t, "a", "b", "c")
	w.kill("c", true, "")
	w.run(time.Second)
	for _, pair := range [][2]string{{"d", "b"}, {"e", "a"}} {
		if err := w.join(pair[0], ring.Member{}); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		w.kill(pair[1], true, "")
		w.run(2 * time.Second)
	}
	if err := w.join("f", ring.Member{}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	w.restart("c")
	w.run(time.Second)
	if !w.nodes["c"].up {
		t.Fatal("c believed at once, without having waited for those whom it knows")
	}
	w.run(5 * time.Second)
	if w.nodes["c"].up {
		t.Errorf("c does not find out that it was evicted:\n%s", w.status())
	}
	w.in(t, "d", "e", "f")
}

func TestWhoIsStillNeededIsNotLetGo(t *testing.T) {
	w := standingWorld(t, "a", "b", "c")
	w.lie = func(_ *node, s *election.Standing) {
		s.Member, s.Out, s.Needed, s.Epoch = false, true, true, 1000
	}
	for _, o := range []string{"a", "b"} { // nobody leads it meanwhile
		w.cut[[2]string{o, "c"}] = true
	}
	w.tell("c", "a", 1000)
	w.cut = map[[2]string]bool{}
	w.run(100 * time.Millisecond)
	w.in(t, "c")
}

// A member that leaves is out of the ring as soon as it has applied that, and
// its vote is still needed until raft's configuration has changed.
func TestOneWordLetsNoVoterGo(t *testing.T) {
	w := standingWorld(t, "a", "b")
	a, b := w.nodes["a"], w.nodes["b"]
	w.refs++
	w.to(a, func(now election.Instant) {
		a.n.Request(now, election.Request{Ref: w.refs, Leave: &ring.Leave{ID: b.id}})
	})
	for i := 0; !b.n.State().Gone(b.id); i++ {
		if i == 1000 {
			t.Fatal("b does not learn that it has left")
		}
		w.run(100 * time.Microsecond)
	}
	w.cut[[2]string{"a", "b"}], w.cut[[2]string{"b", "a"}] = true, true
	w.tell("b", "a", 1000)
	w.run(time.Second)
	w.in(t, "b")
	w.cut = map[[2]string]bool{}
	w.run(3 * time.Second)
	if b.up {
		t.Errorf("b does not go although a no longer needs it:\n%s", w.status())
	}
	if _, _, ok := claimOf(a, w.now); !ok {
		t.Errorf("a does not lead:\n%s", w.status())
	}
}

// foundWith founds a ring at the first name, accepted by the others, who are not
// there yet.
func (w *world) foundWith(t *testing.T, names ...string) {
	t.Helper()
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	f := ring.Found{Cluster: "c", RingID: "r", Settings: s}
	for i, name := range names {
		nd := &node{name: name, id: uint64(i + 1), inc: w.incarnation()}
		w.nodes[name] = nd
		w.order = append(w.order, name)
		m := ring.Member{Name: name, Incarnation: nd.inc, Addresses: []string{name + ":7400"}, Nonce: uint64(100 + i)}
		if i == 0 {
			f.Founder = m
		} else {
			f.Others = append(f.Others, m)
		}
	}
	rec, err := election.Found(f, 1_000_000_000)
	if err != nil {
		t.Fatal(err)
	}
	nd := w.nodes[names[0]]
	nd.disk = disk{hard: rec.HardState, snap: rec.Snapshot}
	w.boot(nd, rec)
}

func TestAFounderAloneNeverClaims(t *testing.T) {
	w := newWorld()
	w.quiet = true
	w.foundWith(t, "a", "b", "c", "d")
	w.boot(w.nodes["b"], election.Recovered{}) // two of four are no majority
	for range 190 {
		w.run(100 * time.Millisecond)
		for _, name := range []string{"a", "b"} {
			if _, _, claims := claimOf(w.nodes[name], w.now); claims {
				t.Fatalf("%s claims without a majority of those who accepted the founder", name)
			}
		}
	}
	// The ring never had a leader: its founder looks for another one.
	w.run(2 * time.Second)
	if w.nodes["a"].up {
		t.Error("the founder still waits for a majority that is not there")
	}
}

// It was elected, and cut off before anything was committed.
func TestAFounderThatIsCutOffAfterItsElectionGivesUp(t *testing.T) {
	w := newWorld()
	w.quiet = true
	w.foundWith(t, "a", "b", "c")
	w.boot(w.nodes["b"], election.Recovered{})
	for w.nodes["a"].n.Status(w.now).Role != "StateLeader" {
		w.run(100 * time.Microsecond)
		if w.now > election.Instant(5*time.Second) {
			t.Fatal("a is not elected")
		}
	}
	for _, pair := range [][2]string{{"a", "b"}, {"b", "a"}} {
		w.cut[pair] = true
	}
	w.run(40 * time.Second)
	if w.nodes["a"].up {
		t.Errorf("a waits for a ring that never had a leader:\n%s", w.status())
	}
}

func TestAFounderClaimsOnceAMajorityIsThere(t *testing.T) {
	w := newWorld()
	w.quiet = true
	w.foundWith(t, "a", "b", "c", "d")
	w.run(5 * time.Second)
	w.boot(w.nodes["b"], election.Recovered{})
	w.boot(w.nodes["c"], election.Recovered{})
	for began := w.now; ; w.run(time.Millisecond) {
		if _, _, claims := claimOf(w.nodes["a"], w.now); claims {
			break // a member that is not there soon is evicted like any other
		}
		if w.now > began.Add(2*time.Second) {
			t.Fatalf("the founder does not claim with three of four:\n%s", w.status())
		}
	}
	w.boot(w.nodes["d"], election.Recovered{})
	w.run(2 * time.Second)
	if st := w.nodes["d"].n.State(); len(st.Members) != 4 || st.Term == 0 {
		t.Errorf("d has not got the ring:\n%s", w.status())
	}
}
