package verify

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Violation is a broken guarantee.
type Violation struct {
	// Check is G1, G2, G3 or ids.
	Check string
	Text  string
}

func (v Violation) String() string { return v.Check + ": " + v.Text }

func violation(check, format string, args ...any) []Violation {
	return []Violation{{check, fmt.Sprintf(format, args...)}}
}

// Process is a process of a member. A zero field is not known.
type Process struct {
	Name            string
	ID, Incarnation uint64
}

func (p Process) String() string {
	s := cmp.Or(p.Name, "somebody")
	if p.ID != 0 {
		s += fmt.Sprintf(" (id %d)", p.ID)
	}
	return s
}

// is reports whether both may be the same process.
func (p Process) is(o Process) bool {
	return agree(p.Name, o.Name) && agree(p.ID, o.ID) && agree(p.Incarnation, o.Incarnation)
}

func agree[T comparable](a, b T) bool {
	var unknown T
	return a == b || a == unknown || b == unknown
}

// or adds what only the other one knows of the same process.
func (p Process) or(o Process) Process {
	return Process{cmp.Or(p.Name, o.Name), cmp.Or(p.ID, o.ID), cmp.Or(p.Incarnation, o.Incarnation)}
}

// Checker holds new observations against all earlier ones.
type Checker struct {
	// DeclaredFirst says that a declaration is observed before any claim with its
	// token, as by somebody who sees all logs. A claim without one breaks G3 then.
	DeclaredFirst bool

	streams  map[string]uint64  // the newest token of each
	declared map[uint64]Process // by token
	names    map[uint64]string  // by id
	claims   []tenure           // by token
	changes  []Change           // each once, in the order in which it was heard of first
	known    map[Change]int     // their places, by what tells them apart
}

// Begins says that a stream begins, or begins again, when a token is the newest.
func (c *Checker) Begins(stream string, term uint64) { set(&c.streams, stream, term) }

// Declared takes a declaration from a stream.
func (c *Checker) Declared(stream string, by Process, term uint64) []Violation {
	var found []Violation
	if last := c.streams[stream]; term <= last {
		found = violation("G1", "%s: token %d of %s after token %d", stream, term, by, last)
	}
	set(&c.streams, stream, term)
	known, ok := c.declared[term]
	if ok && !known.is(by) {
		return append(found, violation("G1", "token %d is declared by %s and by %s", term, known, by)...)
	}
	set(&c.declared, term, known.or(by))
	if i, ok := c.claim(term); ok {
		found = append(found, c.undeclared(c.claims[i].by, term)...)
	}
	return found
}

// Declarations is how many tokens were seen declared.
func (c *Checker) Declarations() int { return len(c.declared) }

// Named takes the id that a member was given.
func (c *Checker) Named(id uint64, name string) []Violation {
	if known, ok := c.names[id]; ok && known != name {
		return violation("ids", "id %d was given to %s and to %s", id, known, name)
	}
	set(&c.names, id, name)
	return nil
}

// NameOf is the member that was given an id, "" if none is known.
func (c *Checker) NameOf(id uint64) string { return c.names[id] }

func set[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}

// Lease is a claim whose end is known: a process claims from an instant on, and
// until another one unless a later Lease with this token says otherwise.
type Lease struct {
	By          Process
	Term        uint64
	From, Until time.Duration
}

// Sample is an answer to the question whether a process claims: at some instant
// between question and answer it did.
type Sample struct {
	By              Process
	Term            uint64
	Asked, Answered time.Duration
}

// tenure is all that is known of the claims with one token: at the latest when
// they began, and at the earliest when they ended.
type tenure struct {
	term         uint64
	by           Process
	begun, ended time.Duration
	broken       bool // and reported
}

// Lease takes a claim whose end is known.
func (c *Checker) Lease(l Lease) []Violation {
	return c.claimed(l.By, l.Term, func(t *tenure) { t.begun, t.ended = min(t.begun, l.From), l.Until })
}

// Sample takes a claim that was asked for.
func (c *Checker) Sample(s Sample) []Violation {
	return c.claimed(s.By, s.Term, func(t *tenure) { t.begun, t.ended = min(t.begun, s.Answered), max(t.ended, s.Asked) })
}

// Claimed is how many tokens were seen claimed.
func (c *Checker) Claimed() int { return len(c.claims) }

// HasClaimed reports whether somebody was seen to claim with a token.
func (c *Checker) HasClaimed(term uint64) bool {
	_, ok := c.claim(term)
	return ok
}

func (c *Checker) claim(term uint64) (int, bool) {
	return slices.BinarySearchFunc(c.claims, term, func(t tenure, term uint64) int { return cmp.Compare(t.term, term) })
}

const never = time.Duration(1<<63 - 1)

func (c *Checker) claimed(by Process, term uint64, learn func(*tenure)) []Violation {
	i, known := c.claim(term)
	if !known {
		if found := c.undeclared(by, term); found != nil {
			return found
		}
		c.claims = slices.Insert(c.claims, i, tenure{term: term, by: by, begun: never, ended: -never})
	}
	t := &c.claims[i]
	if !t.by.is(by) {
		return violation("G1", "%s claims with token %d, with which %s claimed", by, term, t.by)
	}
	t.by = t.by.or(by)
	learn(t)
	return c.overlaps(i)
}

// undeclared is whether a process claims with a token that is not its own.
func (c *Checker) undeclared(by Process, term uint64) []Violation {
	switch owner, ok := c.declared[term]; {
	case ok && !owner.is(by):
		return violation("G3", "%s claims with token %d, but %s declared it", by, term, owner)
	case !ok && c.DeclaredFirst:
		return violation("G3", "%s claims with token %d, which was never declared", by, term)
	}
	return nil
}

// overlaps is whether the claims with one token leave room for those with the
// others. Each pair is reported once.
func (c *Checker) overlaps(i int) []Violation {
	var found []Violation
	for j := range c.claims {
		lower, higher := &c.claims[min(i, j)], &c.claims[max(i, j)]
		if i != j && higher.begun < lower.ended && !(lower.broken && higher.broken) {
			lower.broken, higher.broken = true, true
			found = append(found, violation("G2", "%s claims with token %d %v after %s claimed with token %d", lower.by, lower.term, lower.ended-higher.begun, higher.by, higher.term)...)
		}
	}
	return found
}
