package verify

import (
	"cmp"
	"fmt"
	"slices"
)

// Member is a member of a ring.
type Member struct {
	Process
	Witness bool
	// Since is the epoch of its join, 0 if that is not known.
	Since uint64
}

// Ring is a ring as it follows from its committed changes.
type Ring struct {
	Members []Member // by id
	// Led has the newest token of every name.
	Led map[string]uint64
	// Leader and Designated are the declared leader and who is appointed to be the
	// next one, by id; 0 is nobody.
	Leader, Designated uint64
}

// Member returns the member with an id.
func (r *Ring) Member(id uint64) (Member, bool) {
	i := slices.IndexFunc(r.Members, func(m Member) bool { return m.ID == id })
	if i < 0 {
		return Member{}, false
	}
	return r.Members[i], true
}

// Heir is who must lead next, without some members: who is appointed, else who
// led last by name, else the lowest id; a witness never leads.
func (r *Ring) Heir(without func(Member) bool) (heir Member, ok bool) {
	for _, m := range r.Members {
		switch {
		case m.Witness || without != nil && without(m):
		case m.ID == r.Designated:
			return m, true
		case !ok || r.Led[m.Name] > r.Led[heir.Name]:
			heir, ok = m, true
		}
	}
	return heir, ok
}

// Join adds a member, in place of one of its name.
func (r *Ring) Join(m Member) {
	r.Members = slices.DeleteFunc(r.Members, func(o Member) bool { return o.Name == m.Name })
	i, _ := slices.BinarySearchFunc(r.Members, m.ID, func(o Member, id uint64) int { return cmp.Compare(o.ID, id) })
	r.Members = slices.Insert(r.Members, i, m)
}

// Remove takes a member out.
func (r *Ring) Remove(id uint64) {
	r.Members = slices.DeleteFunc(r.Members, func(m Member) bool { return m.ID == id })
	if r.Leader == id {
		r.Leader = 0
	}
	if r.Designated == id {
		r.Designated = 0
	}
}

// Declare makes a member the leader with a token.
func (r *Ring) Declare(id, term uint64) {
	r.Leader, r.Designated = id, 0
	if m, ok := r.Member(id); ok {
		set(&r.Led, m.Name, term)
	}
}

// describe lists members with what decides about the heir.
func (r *Ring) describe() string {
	s := ""
	for _, m := range r.Members {
		s += fmt.Sprintf(", %s led in %d", m, r.Led[m.Name])
	}
	return s[min(len(s), 2):]
}
