package membership

import "errors"

var (
	// ErrOtherRing: the data directory or a member belongs to another ring.
	ErrOtherRing = errors.New("another ring")
	// ErrNoLeader: nobody is known to lead now.
	ErrNoLeader = errors.New("no leader")
	// ErrLastMember: a ring is never left by its last member.
	ErrLastMember = errors.New("the last member of a ring does not leave it")
)
