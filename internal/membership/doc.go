// Package membership holds the rules by which a node becomes a member of a ring,
// stays one, and ceases to be one. The coordinator and the simulator run them.
//
// It decides which incarnation a process has (NextIncarnation), what it does first
// with what its disk holds (Begin), whom it asks to be let in (Search), under which
// number it enters (Entry), and which joiners may come in (Applicant). It
// decides where a member asks whether it still is one (Inquiry), which addresses
// it tells others (Place), how it leaves (Departure), and what follows when a
// membership has ended (After).
//
// It is pure: moments come in as arguments, and questions go out as values. It
// does not decide who leads or who is dead, which is the business of package
// election, and it does not guarantee that an answer comes.
//
// No type here may be used by two goroutines at once.
package membership
