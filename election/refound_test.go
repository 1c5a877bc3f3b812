package election_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arc-ring/arc/election"
	"github.com/arc-ring/arc/ring"
)

// survivor reads a node's disk.
func survivor(t *testing.T, nd *node) *election.Survivor {
	t.Helper()
	s, err := election.Survive(election.Recovered{HardState: nd.disk.hard, Snapshot: nd.disk.snap, Entries: nd.disk.entries, Bound: nd.disk.bound}, nd.id, nd.name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestARingIsFoundedAgainOnlyWithoutAMajority(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c", "d", "e")
	s := survivor(t, w.nodes["b"])
	if !slices.Equal(s.Voters, []string{"a", "b", "c", "d", "e"}) || s.Needed != 3 || s.Ring.Hash() != w.nodes["a"].n.State().Hash() {
		t.Fatalf("voters %v of whom %d are needed, epoch %d", s.Voters, s.Needed, s.Ring.Epoch)
	}
	for _, c := range []struct {
		gone []string
		want error
	}{
		{[]string{"a", "c"}, election.ErrNotGone},
		{[]string{"a", "c", "d"}, nil},
		{[]string{"a", "c", "d", "e"}, nil},
		{[]string{"a", "b", "c"}, ring.ErrInvalid}, // its own disk
		{[]string{"a", "c", "x"}, ring.ErrNotMember},
		{nil, election.ErrNotGone},
		{[]string{"a", "a", "c"}, election.ErrNotGone},
	} {
		if err := s.Without(c.gone); !errors.Is(err, c.want) {
			t.Errorf("without %v: %v, want %v", c.gone, err, c.want)
		}
	}
	if err := s.Without([]string{"a", "x", "c", "y"}); err == nil || !strings.HasSuffix(err.Error(), `: "x", "y"`) {
		t.Errorf("of two strangers it says %v", err)
	}
}

// What the disk alone and the dead had committed is kept: the disk need not know
// that it was.
func TestARingFoundedAgainKeepsTheWholeLog(t *testing.T) {
	w := newWorld()
	w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c")
	old := w.nodes["b"].n.State()
	change := old.Settings
	change.MaxVoters = 5
	if _, err := w.request(election.Request{Settings: &change}, time.Second); err != nil {
		t.Fatal(err)
	}
	b := w.nodes["b"]
	*b.disk.hard.Commit = b.disk.snap.GetMetadata().GetIndex() // a commit index is not synced
	s := survivor(t, b)
	if s.Ring.Settings.MaxVoters != 5 {
		t.Errorf("a change that was acknowledged is lost: max_voters %d", s.Ring.Settings.MaxVoters)
	}
	token := w.leader().n.State().Term
	rec, st, err := s.Refound("recovered", 5)
	if err != nil {
		t.Fatal(err)
	}
	id := st.HighestID
	if id <= old.HighestID+1000 {
		t.Errorf("the founder's id is %d, the former ring had given %d", id, old.HighestID)
	}

	// The dead come back with their disks, and their ring leads on meanwhile: no
	// message of the one ring does anything in the other.
	w.nodes["b"].up, w.nodes["b"].gone = false, true
	w.run(3 * time.Second)
	rec.Restarted = true
	again := &node{name: "b'", id: id, inc: w.incarnation(), disk: disk{hard: rec.HardState, snap: rec.Snapshot}}
	w.nodes[again.name], w.order = again, append(w.order, again.name)
	w.boot(again, rec)
	w.run(3 * time.Second)
	term, _, ok := claimOf(again, w.now)
	if !ok || term <= token {
		t.Fatalf("the founder claims %v with token %d, the newest known was %d\n%s", ok, term, token, w.out.String())
	}
	h := again.n.State().History
	if last := h[len(h)-1]; last.Why != "recovered" || last.Clean || last.Name != "b" {
		t.Errorf("the history says %+v", last)
	}
	// A member of the former ring that speaks to it is told that it is out.
	again.n.Effects()
	again.n.Receive(w.now, election.Message{From: 3, To: id, Incarnation: 3, Return: &election.Return{Return: ring.Return{ID: 3, Incarnation: 3, Addresses: []string{"c:1"}}}})
	told := slices.ContainsFunc(again.n.Effects(), func(e election.Effect) bool {
		s, ok := e.(election.Send)
		return ok && s.Message.To == 3 && s.Message.Evicted != nil && s.Message.Evicted.ID == 3 && s.Message.Evicted.RingID == old.RingID
	})
	if !told {
		t.Error("a member of the former ring is not told that it is out")
	}
}

// The machines that were called gone come back, and lead after the founder does:
// for half a year their tokens stay below its.
func TestARingFoundedAgainHasTheHigherTokens(t *testing.T) {
	const step = 1 << 24
	for _, c := range []struct {
		name  string
		clock int64
	}{{"terms of the wall clock", 1_800_000_000}, {"terms above the wall clock", 5}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.clock = c.clock
			w.form(t, lan(t), 200*time.Millisecond, "a", "b", "c")
			old := failover(t, w, false)
			alive := w.leader()
			s := survivor(t, alive)
			rec, st, err := s.Refound("recovered", w.clock*1_000_000)
			if err != nil {
				t.Fatal(err)
			}
			above, err := s.TermAbove(w.clock * 1_000_000)
			if err != nil || above != max(s.Term, uint64(w.clock))+step || rec.HardState.GetTerm() != above {
				t.Fatalf("tokens above %d, %v, want %d; the disk says %d", above, err, max(s.Term, uint64(w.clock))+step, rec.HardState.GetTerm())
			}
			rec.Restarted = true
			founder := &node{name: "again", id: st.HighestID, inc: w.incarnation(), disk: disk{hard: rec.HardState, snap: rec.Snapshot}}
			w.nodes[founder.name], w.order = founder, append(w.order, founder.name)
			w.boot(founder, rec)
			w.run(3 * time.Second)
			token, _, ok := claimOf(founder, w.now)
			if !ok || token <= above || token <= old {
				t.Fatalf("the founder claims %v with token %d, above %d and %d\n%s", ok, token, above, old, w.out.String())
			}
			w.clock += step - 60
			w.kill(alive.name, false, "")
			for _, name := range []string{"a", "b", "c"} {
				if !w.nodes[name].up {
					w.restart(name)
				}
			}
			w.run(3 * time.Second)
			for _, name := range []string{"a", "b", "c"} {
				if term, _, ok := claimOf(w.nodes[name], w.now); ok && (term <= old || term >= token) {
					t.Errorf("%s of the former ring claims with token %d, the founder with %d, the former one had %d", name, term, token, old)
				} else if ok {
					return
				}
			}
			t.Errorf("the former ring has no leader\n%s", w.status())
		})
	}
}
