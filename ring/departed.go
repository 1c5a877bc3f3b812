package ring

import (
	"fmt"
	"slices"
)

// DepartedKept bounds how many former members are listed; the oldest go first.
const DepartedKept = 64

// Departed is a former member, until its name is back in the ring or is
// forgotten.
type Departed struct {
	ID   uint64 `json:"id"`
	Name string `json:"name"`
	// At is the wall clock of the leader that proposed it, Unix microseconds; 0
	// if it was not recorded.
	At int64 `json:"at,omitempty"`
	// How is Left or Evicted.
	How ChangeKind `json:"how"`
	// Evidence of an eviction; SeenBy is the name of who saw it, as in Leadership.
	Evidence Evidence `json:"evidence,omitempty"`
	SeenBy   string   `json:"seen_by,omitempty"`
}

// Forget drops former members from the list, by an operator's word or because
// Settings.ForgetAfterS has passed by the leader's wall clock. It changes no
// ring, and no epoch counts it.
type Forget struct {
	IDs []uint64 `json:"ids"`
}

// DepartedByName returns the former member with the name.
func (s *State) DepartedByName(name string) (Departed, bool) {
	return find(s.Departed, func(d Departed) bool { return d.Name == name })
}

// departedByID returns the former member with the id.
func (s *State) departedByID(id uint64) (Departed, bool) {
	return find(s.Departed, func(d Departed) bool { return d.ID == id })
}

// NameOf returns the name of a member, or of a former one that is still listed.
func (s *State) NameOf(id uint64) string {
	if m, ok := s.Member(id); ok {
		return m.Name
	}
	d, _ := s.departedByID(id)
	return d.Name
}

// depart lists a member that is taken out.
func (s *State) depart(m Member, how ChangeKind, ev Evidence, by uint64, at int64) {
	d := Departed{ID: m.ID, Name: m.Name, At: at, How: how, Evidence: ev, SeenBy: s.NameOf(by)}
	if ev == Certified {
		d.SeenBy = m.Name
	}
	s.backAgain(m.Name)
	s.Departed = append(s.Departed, d)
	if n := len(s.Departed) - DepartedKept; n > 0 {
		s.Departed = slices.Delete(s.Departed, 0, n)
	}
}

// backAgain takes a name that is back from the list.
func (s *State) backAgain(name string) {
	s.Departed = slices.DeleteFunc(s.Departed, func(d Departed) bool { return d.Name == name })
}

func (s *State) forget(f Forget) error {
	n := len(s.Departed)
	s.Departed = slices.DeleteFunc(s.Departed, func(d Departed) bool { return slices.Contains(f.IDs, d.ID) })
	if len(s.Departed) == n {
		return fmt.Errorf("%w: none of the ids %s is that of a former member who is listed", ErrNotMember, IDs(f.IDs))
	}
	return nil
}

// Forgettable returns the ids of the former members that are listed for longer
// than the settings say, at the given wall clock.
func (s *State) Forgettable(wall int64) []uint64 {
	keep := int64(s.Settings.ForgetAfter().Microseconds())
	if keep == 0 {
		return nil
	}
	var ids []uint64
	for _, d := range s.Departed {
		if d.At != 0 && wall >= d.At+keep {
			ids = append(ids, d.ID)
		}
	}
	return ids
}
