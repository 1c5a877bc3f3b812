package ring

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// of returns a state of members with the names, the first of which leads in
// term 10.
func of(t *testing.T, names ...string) *State {
	t.Helper()
	st, err := ProfileSettings("lan")
	if err != nil {
		t.Fatal(err)
	}
	s := &State{}
	apply(t, s, 0, Command{Found: &Found{Cluster: "c", RingID: "r", Settings: st, Founder: Member{Name: names[0], Incarnation: 1, Addresses: []string{"a:1"}}}})
	apply(t, s, 10, Command{Declare: &Declare{Term: 10, ID: 1, Incarnation: 1, Since: 5}})
	for _, name := range names[1:] {
		apply(t, s, 10, Command{Join: &Join{Member: Member{Name: name, Incarnation: 1, Addresses: []string{"a:1"}}}})
	}
	return s
}

func apply(t *testing.T, s *State, term uint64, c Command) {
	t.Helper()
	if _, err := s.Apply(term, c); err != nil {
		t.Fatalf("%v: %v", c, err)
	}
}

func TestWhoDepartedIsListed(t *testing.T) {
	s := of(t, "a", "b", "c", "d", "e")
	apply(t, s, 10, Command{Leave: &Leave{ID: 2, At: 100}})
	apply(t, s, 10, Command{Evict: &Evict{ID: 3, Evidence: Silent, By: 4, At: 200}})
	apply(t, s, 11, Command{Declare: &Declare{Term: 11, ID: 4, Incarnation: 1, Since: 300, Evict: []Evict{{ID: 1, Evidence: Certified}}}})
	want := []Departed{
		{ID: 2, Name: "b", At: 100, How: Left},
		{ID: 3, Name: "c", At: 200, How: Evicted, Evidence: Silent, SeenBy: "d"},
		{ID: 1, Name: "a", At: 300, How: Evicted, Evidence: Certified, SeenBy: "a"},
	}
	if !reflect.DeepEqual(s.Departed, want) {
		t.Fatalf("departed %+v\nwant %+v", s.Departed, want)
	}

	// A member that is back is no longer listed, at whatever address and under whatever id.
	apply(t, s, 11, Command{Join: &Join{Member: Member{Name: "c", Incarnation: 2, Addresses: []string{"z:1"}}}})
	// A member that replaces itself was never away.
	apply(t, s, 11, Command{Join: &Join{Member: Member{Name: "e", Incarnation: 2, Addresses: []string{"a:1"}}, Replaces: 5}})
	if want = append(want[:1:1], want[2]); !reflect.DeepEqual(s.Departed, want) {
		t.Fatalf("departed %+v\nwant %+v", s.Departed, want)
	}

	// To forget changes no ring: neither an epoch nor the hash of one.
	epoch, hash, before := s.Epoch, s.Hash(), s.Clone()
	apply(t, s, 11, Command{Forget: &Forget{IDs: []uint64{2}}})
	if _, ok := s.DepartedByName("b"); ok || len(s.Departed) != 1 || s.Epoch != epoch || s.Hash() != hash {
		t.Errorf("departed %+v in epoch %d, hash %.8s; want a alone in epoch %d, hash %.8s", s.Departed, s.Epoch, s.Hash(), epoch, hash)
	}
	if len(before.Departed) != 2 {
		t.Errorf("a clone of before has lost what was forgotten: %+v", before.Departed)
	}
	if _, err := s.Apply(11, Command{Forget: &Forget{IDs: []uint64{2, 9}}}); !errors.Is(err, ErrNotMember) {
		t.Errorf("forgotten twice: %v, want ErrNotMember", err)
	}
	r, _, err := Restore(s.Snapshot())
	if err != nil || !reflect.DeepEqual(r.Departed, s.Departed) {
		t.Errorf("a snapshot gives back %+v, %v", r, err)
	}
}

func TestWhoDepartedIsBounded(t *testing.T) {
	s := of(t, "a", "b")
	for i := range DepartedKept + 10 {
		name := fmt.Sprint("n", i)
		apply(t, s, 10, Command{Join: &Join{Member: Member{Name: name, Incarnation: 1, Addresses: []string{"a:1"}}}})
		apply(t, s, 10, Command{Leave: &Leave{ID: s.HighestID}})
	}
	if n := len(s.Departed); n != DepartedKept || s.Departed[n-1].Name != fmt.Sprint("n", DepartedKept+9) {
		t.Errorf("%d are listed, the last is %+v", n, s.Departed[n-1])
	}
	// A state that has more was not written by this code.
	s.Departed = append(s.Departed, s.Departed[0])
	if _, _, err := Restore(s.Snapshot()); !errors.Is(err, ErrInvalid) {
		t.Errorf("restored: %v, want ErrInvalid", err)
	}
}

func TestForgettable(t *testing.T) {
	s := of(t, "a")
	s.Settings.ForgetAfterS = 60
	at := func(d time.Duration) int64 { return int64(1_000_000_000_000_000) + d.Microseconds() }
	s.Departed = []Departed{{ID: 2, At: at(0)}, {ID: 3, At: at(30 * time.Second)}, {ID: 4}}
	for _, c := range []struct {
		keep uint32
		at   time.Duration
		want []uint64
	}{
		{60, 59 * time.Second, nil},
		{60, time.Minute, []uint64{2}},
		{60, time.Hour, []uint64{2, 3}},
		{0, time.Hour, nil},
		{60, -time.Hour, nil}, // a clock that was set back
	} {
		s.Settings.ForgetAfterS = c.keep
		if got := s.Forgettable(at(c.at)); !slices.Equal(got, c.want) {
			t.Errorf("kept for %d s, %v later: %v, want %v", c.keep, c.at, got, c.want)
		}
	}
}

// A leader that was taken out before anybody else declared itself is remembered
// with the evidence: the history must not lose it.
func TestTheHistoryKnowsWhyACaretakerEvicted(t *testing.T) {
	s := of(t, "a", "b", "c")
	apply(t, s, 11, Command{Evict: &Evict{ID: 1, Evidence: Silent, By: 3}})
	apply(t, s, 12, Command{Declare: &Declare{Term: 12, ID: 2, Incarnation: 1}})
	l := s.History[len(s.History)-1]
	if l.After != "a" || l.Evidence != Silent || l.SeenBy != "c" {
		t.Errorf("%q follows %q by evidence %q, seen by %q; want silent, c", l.Name, l.After, l.Evidence, l.SeenBy)
	}
}
