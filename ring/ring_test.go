package ring

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func lan(t testing.TB) Settings {
	t.Helper()
	s, err := ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// founded returns a ring of the named members; the first founded it.
func founded(t testing.TB, names ...string) *State {
	t.Helper()
	s := &State{}
	must(t, s, 0, Command{Found: &Found{Cluster: "c", RingID: "r", Founder: member(names[0]), Settings: lan(t)}})
	for _, n := range names[1:] {
		must(t, s, 1, Command{Join: &Join{Member: member(n)}})
	}
	return s
}

func member(name string) Member {
	return Member{Name: name, Incarnation: 100, Addresses: []string{name + ":7400"}}
}

func must(t testing.TB, s *State, term uint64, c Command) []Change {
	t.Helper()
	ch, err := s.Apply(term, c)
	if err != nil {
		t.Fatalf("apply %v: %v", c, err)
	}
	return ch
}

func declare(t testing.TB, s *State, term, id uint64, evict ...uint64) error {
	t.Helper()
	d := &Declare{Term: term, ID: id, Since: int64(term)}
	for _, e := range evict {
		d.Evict = append(d.Evict, Evict{ID: e, Evidence: Certified})
	}
	_, err := s.Apply(term, Command{Declare: d})
	return err
}

func TestLinksCloseTheRing(t *testing.T) {
	for n := 1; n <= 8; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprintf("n%d", i)
			}
			s := founded(t, names...)
			id, seen := s.Members[0].ID, map[uint64]bool{}
			for range n {
				next, ok := s.Successor(id)
				if ok != (n > 1) {
					t.Fatalf("Successor(%d) in a ring of %d: ok = %v", id, n, ok)
				}
				if n == 1 {
					return
				}
				seen[next.ID] = true
				id = next.ID
			}
			if len(seen) != n || id != s.Members[0].ID {
				t.Fatalf("following the links meets %d of %d members and ends at %d", len(seen), n, id)
			}
		})
	}
}

func TestAJoinMovesOneLink(t *testing.T) {
	s := founded(t, "a", "b", "c")
	before := map[uint64]uint64{}
	for _, m := range s.Members {
		n, _ := s.Successor(m.ID)
		before[m.ID] = n.ID
	}
	must(t, s, 1, Command{Join: &Join{Member: member("d")}})
	moved := 0
	for id, old := range before {
		if n, _ := s.Successor(id); n.ID != old {
			moved++
			if id != 3 || n.ID != 4 {
				t.Errorf("member %d was re-pointed to %d, want 3 to 4", id, n.ID)
			}
		}
	}
	if moved != 1 {
		t.Errorf("%d links moved, want 1", moved)
	}
}

func TestHeir(t *testing.T) {
	s := founded(t, "a", "b", "c", "d")
	for _, step := range []struct {
		what  string
		do    func() error
		heir  uint64 // if an election were held now
		next  uint64 // if the leader were gone
		epoch uint64
	}{
		{"nobody led: lowest id", func() error { return nil }, 1, 1, 4},
		{"a leads", func() error { return declare(t, s, 10, 1) }, 1, 2, 5},
		{"a dies, b leads", func() error { return declare(t, s, 11, 2, 1) }, 2, 3, 6},
		{"a comes back under a new id and is the heir again", func() error {
			_, err := s.Apply(11, Command{Join: &Join{Member: member("a")}})
			return err
		}, 2, 5, 7},
		{"c is appointed", func() error {
			_, err := s.Apply(11, Command{Appoint: &Appoint{To: 3, Why: "asked"}})
			return err
		}, 3, 3, 8},
		{"c leads, b is still there and led most recently", func() error { return declare(t, s, 12, 3) }, 3, 2, 9},
		{"b is evicted", func() error {
			_, err := s.Apply(12, Command{Evict: &Evict{ID: 2, Evidence: Silent}})
			return err
		}, 3, 5, 10},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if h, _ := s.Heir(); h.ID != step.heir {
			t.Errorf("%s: heir %d, want %d", step.what, h.ID, step.heir)
		}
		if h, _ := s.NextHeir(); h.ID != step.next {
			t.Errorf("%s: next heir %d, want %d", step.what, h.ID, step.next)
		}
		if s.Epoch != step.epoch {
			t.Errorf("%s: epoch %d, want %d", step.what, s.Epoch, step.epoch)
		}
	}
}

func TestRefusedCommandsChangeNothing(t *testing.T) {
	for _, tc := range []struct {
		name string
		term uint64
		cmd  Command
		want error
	}{
		{"found again", 1, Command{Found: &Found{Cluster: "c", RingID: "x", Founder: member("x"), Settings: lan(t)}}, ErrInvalid},
		{"join without address", 1, Command{Join: &Join{Member: Member{Name: "x", Incarnation: 1}}}, ErrInvalid},
		{"join under a name in use", 1, Command{Join: &Join{Member: member("b")}}, ErrNameInUse},
		{"join that replaces somebody else", 1, Command{Join: &Join{Member: member("b"), Replaces: 3}}, ErrNameInUse},
		{"leave of a stranger", 1, Command{Leave: &Leave{ID: 9}}, ErrNotMember},
		{"evict of another incarnation", 1, Command{Evict: &Evict{ID: 2, Incarnation: 7}}, ErrStale},
		{"declare in another term", 21, Command{Declare: &Declare{Term: 20, ID: 1}}, ErrStale},
		{"declare in an old term", 5, Command{Declare: &Declare{Term: 5, ID: 1}}, ErrStale},
		{"declare by another than the heir", 20, Command{Declare: &Declare{Term: 20, ID: 2}}, ErrNotHeir},
		{"declare that evicts itself", 20, Command{Declare: &Declare{Term: 20, ID: 1, Evict: []Evict{{ID: 1}}}}, ErrInvalid},
		{"declare that evicts twice", 20, Command{Declare: &Declare{Term: 20, ID: 1, Evict: []Evict{{ID: 2}, {ID: 2}}}}, ErrInvalid},
		{"appoint a witness", 1, Command{Appoint: &Appoint{To: 4}}, ErrInvalid},
		{"appoint a stranger", 1, Command{Appoint: &Appoint{To: 9}}, ErrNotMember},
		{"settings that cannot work", 1, Command{Settings: &Settings{}}, ErrInvalid},
		{"return of a stranger", 1, Command{Return: &Return{ID: 9, Incarnation: 1, Addresses: []string{"x"}}}, ErrNotMember},
		{"return of who never went", 1, Command{Return: &Return{ID: 2, Incarnation: 100, Addresses: []string{"b:7400"}}}, ErrStale},
		{"nothing", 1, Command{}, ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := founded(t, "a", "b", "c")
			w := member("w")
			w.Witness = true
			must(t, s, 1, Command{Join: &Join{Member: w}})
			if err := declare(t, s, 10, 1); err != nil {
				t.Fatal(err)
			}
			before := s.Hash()
			_, err := s.Apply(tc.term, tc.cmd)
			if !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if s.Hash() != before {
				t.Error("a refused command changed the state")
			}
		})
	}
}

func TestVoters(t *testing.T) {
	names := make([]string, 10)
	for i := range names {
		names[i] = fmt.Sprintf("n%d", i+1)
	}
	s := founded(t, names...)
	check := func(what string, want ...uint64) {
		t.Helper()
		if got := s.Voters(); !slices.Equal(got, want) {
			t.Errorf("%s: voters %v, want %v", what, got, want)
		}
	}
	check("the oldest", 1, 2, 3, 4, 5, 6, 7)
	must(t, s, 1, Command{Appoint: &Appoint{To: 10}})
	check("an appointed one", 1, 2, 3, 4, 5, 6, 10)
	if err := declare(t, s, 5, 10); err != nil {
		t.Fatal(err)
	}
	check("the leader", 1, 2, 3, 4, 5, 6, 10)
	must(t, s, 5, Command{Appoint: &Appoint{To: 9}})
	if err := declare(t, s, 6, 9); err != nil {
		t.Fatal(err)
	}
	check("the leader and former leaders", 1, 2, 3, 4, 5, 9, 10)
	w := member("w")
	w.Witness = true
	must(t, s, 6, Command{Join: &Join{Member: w}})
	check("a witness", 1, 2, 3, 4, 9, 10, 11)
}

// TestReplicasAgree applies the same random commands to two replicas, one of
// which is taken through a snapshot at every step, and checks what must hold
// of every state.
func TestReplicasAgree(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		a := founded(t, "n0")
		b, _, err := Restore(a.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		term, ids := uint64(1), map[uint64]string{1: "n0"}
		for range 400 {
			c := randomCommand(rnd, a, &term)
			_, errA := a.Apply(term, c)
			_, errB := b.Apply(term, c)
			if fmt.Sprint(errA) != fmt.Sprint(errB) {
				t.Fatalf("seed %d: replicas disagree: %v and %v", seed, errA, errB)
			}
			if a.Hash() != b.Hash() {
				t.Fatalf("seed %d: hashes differ after %v", seed, c)
			}
			if b, _, err = Restore(b.Snapshot()); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for i, m := range a.Members {
				if n, ok := ids[m.ID]; ok && n != m.Name {
					t.Fatalf("seed %d: id %d was %s's and is %s's", seed, m.ID, n, m.Name)
				}
				ids[m.ID] = m.Name
				if i > 0 && a.Members[i-1].ID >= m.ID {
					t.Fatalf("seed %d: members out of order", seed)
				}
			}
			for i := 1; i < len(a.History); i++ {
				if a.History[i-1].Term >= a.History[i].Term {
					t.Fatalf("seed %d: tokens do not rise: %d, %d", seed, a.History[i-1].Term, a.History[i].Term)
				}
			}
			if n := len(a.Voters()); n != min(len(a.Members), int(a.Settings.MaxVoters)) {
				t.Fatalf("seed %d: %d voters of %d members", seed, n, len(a.Members))
			}
		}
	}
}

func randomCommand(rnd *rand.Rand, s *State, term *uint64) Command {
	id := rnd.Uint64N(s.HighestID + 2)
	switch rnd.IntN(8) {
	case 0, 1, 2:
		m := member(fmt.Sprintf("n%d", rnd.IntN(12)))
		m.Witness = rnd.IntN(6) == 0
		j := &Join{Member: m}
		if old, ok := s.MemberByName(m.Name); ok && rnd.IntN(2) == 0 {
			j.Replaces = old.ID
		}
		return Command{Join: j}
	case 3:
		if len(s.Members) < 3 {
			return Command{Leave: &Leave{ID: 0}}
		}
		return Command{Leave: &Leave{ID: id}}
	case 4:
		return Command{Evict: &Evict{ID: id, Incarnation: 100, Evidence: Silent}}
	case 5:
		return Command{Appoint: &Appoint{To: id}}
	case 6:
		return Command{Return: &Return{ID: id, Incarnation: rnd.Uint64N(3) + 99, Addresses: []string{"x:1"}}}
	default:
		*term += rnd.Uint64N(3)
		h, _ := s.Heir()
		return Command{Declare: &Declare{Term: *term, ID: h.ID, Since: int64(*term)}}
	}
}

func TestHistoryIsBoundedAndRankSurvives(t *testing.T) {
	s := founded(t, "a", "b")
	if err := declare(t, s, 1, 1); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(HistoryKept + 50) {
		must(t, s, 1+i, Command{Appoint: &Appoint{To: 2}})
		if err := declare(t, s, 2+i, 2); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.History) != HistoryKept {
		t.Errorf("%d leaderships are kept, want %d", len(s.History), HistoryKept)
	}
	if h, _ := s.NextHeir(); h.Name != "a" || s.LastLed("a") != 1 {
		t.Errorf("heir %s, a led in %d; want a, 1", h.Name, s.LastLed("a"))
	}
}

func TestSettings(t *testing.T) {
	for _, p := range Profiles {
		s, err := ProfileSettings(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("profile %s: %v", p, err)
		}
	}
	s := lan(t)
	s.LeaseMS, s.Misses, s.HangAfterMS = 5, 0, 100
	err := s.Validate()
	for _, want := range []string{"lease_ms = 5", "misses = 0", "stagger_ms = 25 is above lease_ms = 5"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, c := range []Command{
		{Join: &Join{Member: member("a")}}, {Leave: &Leave{ID: 1}}, {Declare: &Declare{Term: 3, ID: 1, Evict: []Evict{{ID: 2}}}},
		{Appoint: &Appoint{To: 1}}, {Return: &Return{ID: 1}}, {Settings: &Settings{}},
	} {
		f.Add(c.Encode())
	}
	f.Add([]byte(`{"join":null}`))
	f.Add([]byte(`{}{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			return
		}
		if again, err := DecodeCommand(c.Encode()); err != nil || string(again.Encode()) != string(c.Encode()) {
			t.Fatalf("%q does not survive: %v", b, err)
		}
		s := founded(t, "a", "b")
		_, _ = s.Apply(1, c) // must not panic
	})
}

func FuzzRestore(f *testing.F) {
	f.Add(founded(f, "a", "b").Snapshot())
	f.Add([]byte(`{"ring":{"ring_id":"r"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, err := Restore(b)
		if err != nil {
			return
		}
		if again, _, err := Restore(s.Snapshot()); err != nil || again.Hash() != s.Hash() {
			t.Fatalf("a restored state does not survive: %v", err)
		}
		s.Voters()
		s.Heir()
	})
}

// Heir finds without sorting what Succession sorts.
func TestHeirIsFirstInSuccession(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		s := &State{}
		for id := uint64(1); id <= random.Uint64N(9); id++ {
			m := Member{ID: 3 * id, Name: fmt.Sprint("n", random.IntN(20)), Witness: random.IntN(4) == 0}
			s.Members = append(s.Members, m)
			if random.IntN(2) == 0 {
				s.rememberLed(m.Name, random.Uint64N(5))
			}
		}
		if random.IntN(3) == 0 {
			s.Designated = &Designation{To: 3 * random.Uint64N(9)}
		}
		without := []uint64{3 * random.Uint64N(9), 3 * random.Uint64N(9)}
		order := s.Succession(without...)
		heir, ok := s.Heir(without...)
		if ok != (len(order) > 0) || ok && heir.ID != order[0] {
			t.Fatalf("heir %d, %v of %+v without %v, the succession is %v", heir.ID, ok, s, without, order)
		}
		for id := range uint64(30) {
			m, ok := s.Member(id)
			if known := slices.ContainsFunc(s.Members, func(m Member) bool { return m.ID == id }); ok != known || ok && m.ID != id {
				t.Fatalf("member %d is %+v, %v of %+v", id, m, ok, s.Members)
			}
		}
	}
}
