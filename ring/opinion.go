package ring

// Opinion is what a monitor says of a member. It is the same value from the
// detector to the voters.
type Opinion struct {
	// ID and Incarnation are whom it is about.
	ID, Incarnation uint64
	// Term that the monitor last knew. An opinion of an earlier leadership does not
	// count, since it may arrive much later if it lay in the buffer of an isolated
	// machine. One of a leader counts only in the term in which it leads.
	Term uint64
	// By is the member whose monitor it is.
	By   uint64
	Word Word
	// Proof is the owner's, which keeps it with the opinion.
	Proof string
}

// Word is what an Opinion says: one of Suspect, Clear, Doubt and GrantExpired.
type Word interface{ opinion() string }

// Suspect: the member is thought dead.
type Suspect struct{ Evidence Evidence }

// Clear takes the opinion back.
type Clear struct{}

// Doubt: this is no suspicion yet. Those who may lead next look for themselves, so
// that they know when the monitor does.
type Doubt struct{}

// GrantExpired: the member is a leader, it is thought dead, and the grant to it
// with this number has ended for good. That stays true whatever else becomes of
// the opinion.
type GrantExpired struct {
	Grant    uint64
	Evidence Evidence
}

func (Suspect) opinion() string      { return "suspected" }
func (Clear) opinion() string        { return "cleared" }
func (Doubt) opinion() string        { return "doubted" }
func (GrantExpired) opinion() string { return "suspected" }

// Evidence returns what a suspicion rests on; "" for another opinion.
func (o Opinion) Evidence() Evidence {
	switch w := o.Word.(type) {
	case Suspect:
		return w.Evidence
	case GrantExpired:
		return w.Evidence
	}
	return ""
}

// Grant returns the number of the grant that has ended; 0 if none has.
func (o Opinion) Grant() uint64 {
	w, _ := o.Word.(GrantExpired)
	return w.Grant
}

// String is the opinion in one word, as traces have it.
func (o Opinion) String() string {
	if o.Word == nil {
		return "none"
	}
	return o.Word.opinion()
}
