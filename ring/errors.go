package ring

import "errors"

var (
	// ErrNameInUse: a joiner's name belongs to another member.
	ErrNameInUse = errors.New("name in use")
	// ErrNotMember: the named id or name is not in the ring.
	ErrNotMember = errors.New("not a member")
	// ErrStale: the command is about another incarnation, term or leader.
	ErrStale = errors.New("stale")
	// ErrNotHeir: somebody else must lead.
	ErrNotHeir = errors.New("not the heir")
	// ErrNewer: a record was written by an ARC that is newer than this one.
	ErrNewer = errors.New("it needs an ARC that reads log version")
	// ErrInvalid: the command contradicts itself or the rules.
	ErrInvalid = errors.New("invalid")
)
