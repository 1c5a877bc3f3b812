package ring

import "fmt"

// refoundGap is how far ids and epochs of a ring that was founded again lie
// above all that its former self can have given since, at least: what the gone
// members did without this disk is not known.
const refoundGap = 1000

// Refound returns the ring as it is founded again from the state of one disk, by
// the member with the name, which becomes its only one. Ring id, settings and
// history stay. All former ids are gone for good: a member that comes back under
// one is told that it is out, and joins under a new id.
// at is the Unix time in microseconds, for the list of those who are gone.
func (s *State) Refound(name, why string, at int64) (*State, error) {
	if s.RingID == "" {
		return nil, fmt.Errorf("%w: there is no ring to be founded again", ErrInvalid)
	}
	founder := Member{Name: name}
	if m, ok := s.MemberByName(name); ok {
		founder = m
	}
	if founder.Witness {
		return nil, fmt.Errorf("%w: %q is a witness and never leads", ErrInvalid, name)
	}
	c := s.Clone()
	for _, m := range s.Members {
		evidence := Operator
		if m.Name == name {
			evidence = Replaced
		}
		c.remove(m, Evicted, evidence, 0, at)
	}
	c.Refounding = Refounding{At: at, From: name}
	c.HighestID = afterGap(s.HighestID)
	admitted := c.admit(founder)
	c.Epoch = max(afterGap(s.Epoch), c.HighestID) // every id took an epoch
	c.Designated = &Designation{To: admitted.Member.ID, Why: why, Recovered: true}
	return c, nil
}

// afterGap returns the first multiple of refoundGap that lies more than refoundGap
// above n.
func afterGap(n uint64) uint64 { return (n/refoundGap + 2) * refoundGap }
