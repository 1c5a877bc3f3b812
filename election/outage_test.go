package election_test

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// hole is a time in which nobody claimed.
type hole struct{ from, to time.Duration }

// holes lets time pass and looks at every moment whether somebody claims. The
// last one is open if nobody does at the end.
func (w *world) holes(d time.Duration) []hole {
	var out []hole
	open := false
	for end := w.now.Add(d); w.now < end; w.run(500 * time.Microsecond) {
		claimed := false
		for _, name := range w.order {
			_, _, ok := claimOf(w.nodes[name], w.now)
			claimed = claimed || ok
		}
		switch {
		case !claimed && !open:
			out = append(out, hole{from: time.Duration(w.now), to: time.Duration(w.now)})
		case !claimed:
			out[len(out)-1].to = time.Duration(w.now)
		}
		open = !claimed
	}
	return out
}

func (w *world) apart(names ...string) {
	for _, a := range names {
		for _, b := range names {
			if a != b {
				w.cut[[2]string{a, b}] = true
			}
		}
	}
}

// unanswered cuts what the others send to a node.
func (w *world) unanswered(name string) {
	for _, o := range w.order {
		if o != name {
			w.cut[[2]string{o, name}] = true
		}
	}
}

// TestOutagesAreInTheHistory loses the claim in different ways and compares what
// the history says with what was seen from outside.
func TestOutagesAreInTheHistory(t *testing.T) {
	lease := 500 * time.Millisecond
	heal := func(w *world) { w.cut = map[[2]string]bool{} }
	for _, c := range []struct {
		name     string
		lose     func(w *world)
		then     func(w *world) // 7.6 s later, may be nil
		leader   string
		evidence ring.Evidence
		// spread is how much longer than the hole the history may say at most.
		spread time.Duration
		same   bool // the claim comes back in the same term
	}{
		{"certified", func(w *world) { w.kill("a", true, "") }, nil, "b", ring.Certified, 5 * time.Millisecond, false},
		{"power", func(w *world) { w.kill("a", false, ""); w.nodes["a"].gone = true }, nil, "b", ring.Silent, lease/3 + 5*time.Millisecond, false},
		{"cut off alone", func(w *world) { w.apart("a", "b"); w.apart("a", "c"); w.apart("a", "d"); w.apart("a", "e") }, heal, "b", ring.Silent, lease, false},
		{"everybody from everybody", func(w *world) { w.apart("a", "b", "c", "d", "e") }, heal, "a", ring.Unanswered, 5 * time.Millisecond, false},
		{"unanswered for a little longer than a lease", func(w *world) {
			w.unanswered("a")
			w.after(lease+20*time.Millisecond, func() { heal(w) })
		}, nil, "a", "", 5 * time.Millisecond, true},
		// The heir has heard nothing of the leader for long, the others have.
		{"an heir that was cut off before", func(w *world) {
			w.apart("a", "b")
			w.run(7 * time.Second)
			heal(w)
			w.kill("a", false, "")
			w.nodes["a"].gone = true
		}, nil, "b", ring.Silent, lease/3 + 5*time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			s, err := ring.ProfileSettings("lan")
			if err != nil {
				t.Fatal(err)
			}
			w.form(t, s, 200*time.Millisecond, "a", "b", "c", "d", "e")
			w.run(2 * time.Second)
			c.lose(w)
			seen := w.holes(7600 * time.Millisecond)
			if c.then != nil {
				c.then(w)
			}
			more := w.holes(5 * time.Second)
			if len(seen) > 0 && len(more) > 0 && more[0].from-seen[len(seen)-1].to <= time.Millisecond {
				seen[len(seen)-1].to, more = more[0].to, more[1:] // one hole, looked at in two parts
			}
			seen = append(seen, more...)
			if len(seen) != 1 {
				t.Fatalf("holes %v, want one\n%s", seen, w.out.String())
			}
			took := seen[0].to - seen[0].from + 500*time.Microsecond
			h := w.nodes[c.leader].n.State().History
			l := h[len(h)-1]
			if l.Name != c.leader || l.Evidence != c.evidence && !c.same {
				t.Errorf("%s leads by evidence %q: %s\nwant %s, %q", l.Name, l.Evidence, l.Why, c.leader, c.evidence)
			}
			known, certain := l.Outage()
			if c.same {
				if len(h) != 1 || len(l.Interruptions) != 1 {
					t.Fatalf("history %+v, want one leadership with one interruption\n%s", h, w.out.String())
				}
				known = time.Duration(l.Interruptions[0].Gap) * time.Microsecond
				certain = known
			}
			if known < took-3*time.Millisecond || known > took+c.spread {
				t.Errorf("the gap is told as %v, it was %v", known, took)
			}
			if certain > took+3*time.Millisecond {
				t.Errorf("the gap is told as %v for certain, it was %v", certain, took)
			}
			if claim := time.Duration(l.Phases.FirstClaim) * time.Microsecond; c.evidence == ring.Unanswered && !c.same && (claim < took-3*time.Millisecond || claim > took+3*time.Millisecond) {
				t.Errorf("its phases begin %v before its claim, it was without a claim for %v: it knows when its own claim ended", claim, took)
			}
			if !l.Claimed && !c.same || l.GapAtLeast {
				t.Errorf("claimed %v, at least %v: %+v", l.Claimed, l.GapAtLeast, l)
			}
		})
	}
}

// When all were restarted nobody knows when the leadership before ended, and the
// history says so.
func TestAGapThatNobodyRemembers(t *testing.T) {
	w := newWorld()
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	w.form(t, s, 200*time.Millisecond, "a", "b", "c")
	w.run(time.Second)
	for _, name := range w.order {
		w.kill(name, false, "")
	}
	w.run(10 * time.Second)
	for _, name := range w.order {
		w.restart(name)
	}
	began := w.now
	w.run(3 * time.Second)
	h := w.nodes["a"].n.State().History
	l := h[len(h)-1]
	known, certain := l.Outage()
	if !l.GapAtLeast || l.Evidence != ring.BornAgain || known <= 0 || known > w.now.Sub(began) || certain > known {
		t.Errorf("%+v: gap %v, for certain %v, at least: %v; want one since the restart", l, known, certain, l.GapAtLeast)
	}
}

// A claim that comes and goes makes few entries, and no interruption is lost.
func TestInterruptionsAreToldTogether(t *testing.T) {
	w := newWorld()
	s, err := ring.ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	w.form(t, s, 200*time.Millisecond, "a", "b", "c")
	w.run(2 * time.Second)
	const times = 12
	for range times {
		w.unanswered("a")
		for ok := true; ok; _, _, ok = claimOf(w.nodes["a"], w.now) {
			w.run(time.Millisecond)
		}
		w.cut = map[[2]string]bool{}
		w.run(s.Lease())
	}
	w.run(20 * s.Lease())
	h := w.nodes["a"].n.State().History
	l := h[len(h)-1]
	var sum int64
	for _, i := range l.Interruptions {
		sum += i.Times
	}
	if len(h) != 1 || sum != times || len(l.Interruptions) > 4 {
		t.Errorf("%d interruptions in %d entries of %d leaderships, want %d in at most 4 of one: %+v", sum, len(l.Interruptions), len(h), times, l.Interruptions)
	}
}

// A voter was stopped while the leader led on and was lost. What it reads when it
// goes on is old, and it says so, whatever it had read of that leader before.
func TestAStoppedVoterDoesNotTakeOldRenewalsForNew(t *testing.T) {
	for _, c := range []struct {
		name string
		// stops reports whether b stops right after this message is sent.
		stops func(m election.Message) bool
		// again: the newest renewal comes again.
		again bool
	}{
		{name: "it had followed for long", stops: func(m election.Message) bool { return m.RenewAck != nil && m.RenewAck.Seq > 8 }},
		{name: "it had not voted", stops: func(m election.Message) bool { return m.Raft.GetType() == raftpb.MsgVote }},
		{name: "it had voted", stops: func(m election.Message) bool { return m.Raft.GetType() == raftpb.MsgVoteResp }},
		{name: "it had acked an entry", stops: func(m election.Message) bool { return m.Raft.GetType() == raftpb.MsgAppResp }},
		{name: "it had acked a renewal", stops: func(m election.Message) bool { return m.RenewAck != nil }},
		{name: "a renewal that it had acked comes again", stops: func(m election.Message) bool { return m.RenewAck != nil }, again: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := threeFormed(t)
			w.run(2 * time.Second)
			b, term := w.nodes["b"], w.nodes["b"].n.Status(w.now).Term
			var newest election.Message
			stopped := false
			w.forge = func(m election.Message) *election.Message {
				switch r := m.Raft; {
				case m.Renew != nil && m.To == b.id:
					newest = m
				case m.RenewAck != nil && m.RenewAck.Term > term && m.From == b.id, r.GetTerm() > term && (m.From == b.id || m.To == b.id):
					if !stopped && c.stops(m) {
						stopped, b.stopped = true, true
					}
				}
				return nil
			}
			if _, err := w.request(election.Request{Handover: &election.Handover{To: w.nodes["c"].id}}, 3*time.Second); err != nil {
				t.Fatal(err)
			}
			if c.again {
				w.deliver(w.nodes["c"], newest)
			}
			for end := w.now.Add(3 * time.Second); !stopped; w.run(time.Millisecond) {
				if w.now > end {
					t.Fatalf("b does not stop\n%s", w.out.String())
				}
			}
			w.run(time.Second) // it is not evicted yet
			w.kill("c", true, "")
			w.nodes["c"].gone = true
			lost := w.now
			w.run(20 * time.Second)
			b.stopped = false
			backlog := b.backlog
			b.backlog = nil
			for _, f := range backlog {
				f()
			}
			for end := w.now.Add(5 * time.Second); w.claimant(t) == "" && w.now < end; w.run(time.Millisecond) {
			}
			took := w.now.Sub(lost)
			w.run(10 * time.Millisecond)
			h := b.n.State().History
			l := h[len(h)-1]
			lease := b.n.State().Settings.Lease()
			known, certain := l.Outage()
			if l.Name == "c" || known < took-20*time.Millisecond || known > took+lease || certain > took || l.GapAtLeast {
				t.Errorf("%s leads; the gap is told as %v, %v of it for certain, at least: %v; it was %v\n%s", l.Name, known, certain, l.GapAtLeast, took, w.out.String())
			}
		})
	}
}

// A leader dies before any voter has acked a renewal and heard the next one. Those
// who voted for it know that its first one was no old one.
func TestAShortClaimIsKnown(t *testing.T) {
	w := threeFormed(t)
	if _, err := w.request(election.Request{Handover: &election.Handover{To: w.nodes["c"].id}}, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	w.run(w.nodes["c"].n.State().Settings.RenewEvery() / 2)
	w.kill("c", true, "")
	lost := w.now
	for end := w.now.Add(5 * time.Second); w.claimant(t) != "a" && w.now < end; w.run(time.Millisecond) {
	}
	h := w.nodes["a"].n.State().History
	l := h[len(h)-1]
	if known, _ := l.Outage(); l.Name == "c" || known > w.now.Sub(lost) || l.GapAtLeast {
		t.Errorf("%s leads; the gap is told as %v, at least: %v; it was %v\n%s", l.Name, known, l.GapAtLeast, w.now.Sub(lost), w.out.String())
	}
}

// The voter that gets the certificate last has seen the leader lead for the longest.
// The gap is from when the winner had it.
func TestAGapBeginsWithTheWinnersCertificate(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), time.Second, "a", "b", "c")
	w.kill(w.leader().name, true, "")
	w.run(200 * time.Millisecond)
	l := w.leader()
	if l == nil {
		t.Fatalf("nobody leads\n%s", w.status())
	}
	h := l.n.State().History
	last := h[len(h)-1]
	if gap, _ := last.Outage(); gap.Microseconds() < last.Phases.FirstClaim {
		t.Errorf("a gap of %v and phases %+v, want at least as much as all phases together", gap, last.Phases)
	}
}
