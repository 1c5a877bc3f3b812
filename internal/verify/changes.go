package verify

import (
	"cmp"
	"slices"
)

// ChangeKind is what a Change does.
type ChangeKind int

// The changes that a ring's members and leaders follow from.
const (
	Joined ChangeKind = iota + 1
	Removed
	Declared
)

// Choice is why a declared leader became the next one.
type Choice int

const (
	// ByRule: it is the heir.
	ByRule Choice = iota
	// ByAppointment: the log appointed it, so the history does not decide.
	ByAppointment
	// ByLeaver: a leader that leaves named the heir a moment before, when who
	// joins just now was not there or could not lead yet.
	ByLeaver
)

// leaverLooked is how many epochs the word of a leader that leaves may be old.
const leaverLooked = 3

// Change is a committed change of the ring, as one member tells it.
type Change struct {
	Kind ChangeKind
	// Epoch is the member's when it told of the change. One that got a snapshot
	// instead of the log tells old changes at the snapshot's epoch. So the lowest
	// epoch at which a change was told is its own.
	Epoch uint64
	Who   Process
	// Witness is for Joined.
	Witness bool
	// Term, Choice, After (the name of the leader before) and Why are for Declared.
	Term   uint64
	Choice Choice
	After  string
	Why    string
}

// Change takes a committed change from a stream.
func (c *Checker) Change(stream string, ch Change) []Violation {
	key := Change{Kind: ch.Kind, Who: Process{Name: ch.Who.Name, ID: ch.Who.ID}, Term: ch.Term}
	if i, ok := c.known[key]; !ok {
		set(&c.known, key, len(c.changes))
		c.changes = append(c.changes, ch)
	} else if ch.Epoch < c.changes[i].Epoch {
		c.changes[i] = ch
	}
	switch ch.Kind {
	case Joined:
		return c.Named(ch.Who.ID, ch.Who.Name)
	case Declared:
		return c.Declared(stream, ch.Who, ch.Term)
	}
	return nil
}

// Changes returns the changes that any stream told, each once, in log order.
func (c *Checker) Changes() []Change {
	list := slices.Clone(c.changes)
	// A declaration is the last change of its epoch.
	slices.SortStableFunc(list, func(a, b Change) int { return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Term, b.Term)) })
	return list
}

// Replay carries out all changes in log order and judges every declaration by the
// ring of that point: its token is above the one before, and it is the heir's. The
// changes have to be complete from the founding on.
func (c *Checker) Replay() []Violation {
	var found []Violation
	var r Ring
	var last Change
	for _, ch := range c.Changes() {
		switch ch.Kind {
		case Joined:
			r.Join(Member{Process: ch.Who, Witness: ch.Witness, Since: ch.Epoch})
		case Removed:
			r.Remove(ch.Who.ID)
		case Declared:
			if ch.Term < last.Term {
				found = append(found, violation("G1", "token %d was declared at epoch %d, token %d at epoch %d", ch.Term, ch.Epoch, last.Term, last.Epoch)...)
			}
			if _, ok := r.Member(ch.Who.ID); !ok {
				r.Join(Member{Process: ch.Who}) // the founder joined before anybody could watch
			}
			found = append(found, r.judge(ch)...)
			r.Declare(ch.Who.ID, ch.Term)
			last = ch
		}
	}
	return found
}

// judge is G3 for one declaration.
func (r *Ring) judge(ch Change) []Violation {
	m, _ := r.Member(ch.Who.ID)
	if m.Witness {
		return violation("G3", "epoch %d: %s leads and is a witness", ch.Epoch, ch.Who)
	}
	if ch.Choice == ByAppointment {
		return nil
	}
	heir := func(epoch uint64) Member {
		h, _ := r.Heir(func(m Member) bool {
			return m.Since > epoch || ch.Choice == ByLeaver && m.Name == ch.After
		})
		return h
	}
	want := heir(ch.Epoch)
	if m.ID == want.ID || ch.Choice == ByLeaver && m.ID == heir(ch.Epoch-leaverLooked).ID {
		return nil
	}
	return violation("G3", "epoch %d: %s is declared (%q), the heir among %s is %s", ch.Epoch, ch.Who, ch.Why, r.describe(), want)
}
