package ring

import (
	"errors"
	"slices"
	"testing"
)

func TestARingFoundedAgainKeepsWhatItWasAndNobodysID(t *testing.T) {
	s := &State{}
	apply := func(term uint64, c Command) {
		t.Helper()
		if _, err := s.Apply(term, c); err != nil {
			t.Fatal(err)
		}
	}
	settings, err := ProfileSettings("fast")
	if err != nil {
		t.Fatal(err)
	}
	apply(0, Command{Found: &Found{Cluster: "c", RingID: "r", Founder: Member{Name: "n1", Incarnation: 1, Addresses: []string{"a:1"}}, Settings: settings}})
	apply(1, Command{Join: &Join{Member: Member{Name: "n2", Incarnation: 2, Addresses: []string{"b:1"}}}})
	apply(1, Command{Join: &Join{Member: Member{Name: "w", Incarnation: 3, Addresses: []string{"c:1"}, Witness: true}}})
	apply(7, Command{Declare: &Declare{Term: 7, ID: 1, Incarnation: 1}})
	before := string(s.Snapshot())

	r, err := s.Refound("n2", "recovered", 5)
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Snapshot()) != before {
		t.Error("the old state was changed")
	}
	if r.RingID != "r" || r.Cluster != "c" || r.Settings != settings || r.Term != 7 || len(r.History) != 1 || r.LastLed("n1") != 7 {
		t.Errorf("ring, settings, history or token are lost: %+v", r)
	}
	if len(r.Members) != 1 || r.Members[0].Name != "n2" || r.Members[0].Addresses[0] != "b:1" {
		t.Fatalf("members %+v, want n2 alone", r.Members)
	}
	for id := uint64(1); id <= 1000; id++ {
		if !r.Gone(id) {
			t.Fatalf("id %d, which the former ring may have given, is not gone", id)
		}
	}
	if r.Epoch < s.Epoch+1000 {
		t.Errorf("epoch %d after %d: the former ring may have gone on", r.Epoch, s.Epoch)
	}
	if heir, ok := r.Heir(); !ok || heir.Name != "n2" {
		t.Errorf("the heir is %v", heir)
	}
	if back, _, err := Restore(r.Snapshot()); err != nil || back.Hash() != r.Hash() {
		t.Errorf("it cannot be restored: %v", err)
	}
	again, err := r.Refound("n2", "recovered", 5)
	if err != nil || slices.ContainsFunc(again.Members, func(m Member) bool { return m.ID <= r.HighestID+1000 }) {
		t.Errorf("founded a third time: %+v, %v", again, err)
	}

	if _, err := s.Refound("w", "", 5); !errors.Is(err, ErrInvalid) {
		t.Errorf("from a witness's disk: %v", err)
	}
	if _, err := (&State{}).Refound("n1", "", 5); !errors.Is(err, ErrInvalid) {
		t.Errorf("from no ring: %v", err)
	}
	if r, err := s.Refound("n9", "", 5); err != nil || r.Members[0].Name != "n9" {
		t.Errorf("by a node that was out already: %+v, %v", r, err)
	}
}

// docs/recovery.md gives this rule, with the figures of the first line.
func TestIDsAndEpochsOfARingFoundedAgain(t *testing.T) {
	for _, c := range []struct{ highest, epoch, id, epochAfter uint64 }{
		{12, 89, 2001, 2001},
		{999, 999, 2001, 2001},
		{1000, 1000, 3001, 3001},
		{12, 2500, 2001, 4000},
	} {
		s := &State{RingID: "r", HighestID: c.highest, Epoch: c.epoch}
		r, err := s.Refound("n1", "", 5)
		if err != nil {
			t.Fatal(err)
		}
		if id := r.Members[0].ID; id != c.id || r.Epoch != c.epochAfter {
			t.Errorf("after id %d and epoch %d: id %d, epoch %d; want %d, %d", c.highest, c.epoch, id, r.Epoch, c.id, c.epochAfter)
		}
	}
}
