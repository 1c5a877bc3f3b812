package ring

// Wanted is the process that somebody who dials an address means to reach. An
// empty or zero field is not known and fits everything.
type Wanted struct {
	Cluster, RingID string
	Name            string
	ID, Incarnation uint64
}

// Answer is what the process that answered says of itself. ID is 0 and RingID
// empty while it is no member.
type Answer Wanted

// Match says how an answer relates to the process that was wanted.
type Match int

const (
	// Elsewhere: the address leads to somebody else. That says nothing about
	// the process that was wanted.
	Elsewhere Match = iota
	// Superseded: another process under the wanted name answers, so the wanted
	// one has ended, unless another address still leads to it.
	Superseded
	// Restarted: as Superseded, and the process has the wanted member's id in
	// its ring: it was started again with its disk.
	Restarted
	// Itself: the wanted process answers.
	Itself
)

func (m Match) String() string {
	return [...]string{"elsewhere", "superseded", "restarted", "itself"}[m]
}

// Match compares who answered with who was wanted. Cluster and ring come
// first: small ids, and names too, are the same in many rings.
func (w Wanted) Match(a Answer) Match {
	differ := func(x, y string) bool { return x != "" && y != "" && x != y }
	switch {
	case differ(w.Cluster, a.Cluster), differ(w.RingID, a.RingID), differ(w.Name, a.Name):
		return Elsewhere
	case w.Incarnation == 0 || a.Incarnation == w.Incarnation:
		return Itself
	case w.ID != 0 && a.ID == w.ID:
		return Restarted
	case w.Name != "" && a.Name != "":
		return Superseded
	}
	return Elsewhere
}
