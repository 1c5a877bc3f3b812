package membership

import "github.com/arc-ring/arc/ring"

// Beginning is what a process does first.
type Beginning int

const (
	// Seek: its disk holds no membership, so it looks for a ring.
	Seek Beginning = iota
	// SeekAgain: it was admitted, but the ring's state never came. Nobody is known
	// to talk to, so the log is void and the same address replaces the old self.
	SeekAgain
	// Resume: it goes on as the member that its disk holds.
	Resume
)

// Begin returns what a process does whose disk holds the member id, 0 for none;
// empty reports that the member's log was never written.
func Begin(id uint64, empty bool) Beginning {
	switch {
	case id == 0:
		return Seek
	case empty:
		return SeekAgain
	}
	return Resume
}

// Sequel is what a process does when its membership has ended.
type Sequel int

const (
	// End: it wanted to leave, and is out.
	End Sequel = iota
	// SeekAnother: the ring never had a leader. The founding came to nothing, and
	// the node looks for any ring.
	SeekAnother
	// Rejoin: the ring went on without it. The node joins that ring again, under a
	// new id.
	Rejoin
)

// After returns what follows a membership that ended because the node is out of
// the ring. Unborn is election.Removed's; leaving reports that the node wanted
// to go.
func After(unborn, leaving bool) Sequel {
	switch {
	case leaving:
		return End
	case unborn:
		return SeekAnother
	}
	return Rejoin
}

// Unborn reports whether the ring that admitted a joiner had nobody but its
// founders, and no leader yet.
func Unborn(led bool, epoch uint64, members int) bool {
	return !led && epoch == uint64(members)
}

// HeldBy reports whether the answer at one address shows that another process is
// the member that was looked for. Then nothing may be said in that member's name.
func HeldBy(wanted ring.Wanted, p ring.Path) bool {
	return p.Outcome == ring.PathAnswered && wanted.Match(p.Answer) == ring.Restarted
}

// Entry is the number under which a node enters a ring. All its requests to join
// carry it, so that one join comes of them, however many arrive.
//
// A founder makes those who accepted it members from the start, under the number
// that each of them named. A node that accepts another founder later names another
// number, and so never becomes a voter of the first one's ring as long as that
// has no leader: two foundings cannot both count on it. So does a node that was
// restarted, for its incarnation is another one.
type Entry struct {
	number uint64
	// founder is whom the number was named to, incarnation its process; empty if
	// nobody.
	founder     string
	incarnation uint64
}

// Renew makes this another entry; draw returns a number that was never used.
func (e *Entry) Renew(draw func() uint64) { *e = Entry{number: draw()} }

// Number returns the number of this entry.
func (e *Entry) Number() uint64 { return e.number }

// Accept returns the number to name to a founder that the node accepts.
func (e *Entry) Accept(founder string, incarnation uint64, draw func() uint64) uint64 {
	if e.founder != founder || e.incarnation != incarnation {
		*e = Entry{draw(), founder, incarnation}
	}
	return e.number
}
